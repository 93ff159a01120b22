"""Prints numbered lines as fast as it can: what a log has to keep up with.

    chatter.py NUMBER LINES HOW

NUMBER tells the tasks apart. HOW is `blocks` (64 KiB at a time, which cuts lines anywhere, as a
full pipe does) or `lines` (a write a line). When all is prepared, the file `ready-NUMBER` is made;
the printing begins when there is a file `go`.
"""

import os
import sys
import time
from pathlib import Path

BLOCK = 1 << 16


def line(number: int, place: int) -> bytes:
    """Line `place` of task `number`: 20 to 79 bytes that no other line has."""
    return b"task %03d line %09d %s\n" % (number, place, b"x" * (place * 7 % 60))


def write(data: memoryview) -> None:
    """All of it, to stdout."""
    while data:
        data = data[os.write(1, data) :]


def main() -> None:
    """Prepare, wait, print."""
    number, lines, how = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    pieces = [line(number, place) for place in range(lines)]
    if how == "blocks":
        whole = b"".join(pieces)
        pieces = [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]
    Path(f"ready-{number}").touch()
    while not Path("go").exists():
        time.sleep(0.005)
    for piece in pieces:
        write(memoryview(piece))


if __name__ == "__main__":
    main()
