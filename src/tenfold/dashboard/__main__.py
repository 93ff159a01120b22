"""The dashboard process: `python -m tenfold.dashboard RUNS [LOCK LISTENER]`.

`tenfold up` starts it with the descriptors of its claim (`launch`); it then yields to everything
else on the machine, and ends by itself. Without them it claims RUNS itself and stays.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

from tenfold.dashboard.launch import Claim, DashboardDirectory, Running, claim
from tenfold.launch import signals
from tenfold.run import files

_NICE = 10


def main(words: list[str]) -> None:
    """Serve the dashboard with the given arguments."""
    signals.start_afresh()
    signals.outlast()
    runs = Path(words[0]).resolve()
    if len(words) == 3:
        made = _handed(runs, int(words[1]), int(words[2]))
    else:
        taken = claim(runs)
        if isinstance(taken, Running):
            sys.exit(f"process {taken.pid} serves {runs} already")
        made = taken
        print(made.running(os.getpid()).url(), flush=True)
    from tenfold.dashboard.server import serve

    with contextlib.suppress(KeyboardInterrupt):
        serve(made, ends_alone=len(words) == 3)


def _handed(runs: Path, lock: int, listener: int) -> Claim:
    """The claim that the starter made."""
    with contextlib.suppress(OSError):  # it may be the leader of its session already
        os.setsid()
    os.nice(_NICE)
    os.chdir("/")
    for descriptor in (lock, listener):
        os.set_inheritable(descriptor, False)
    token = files.read_whole(DashboardDirectory(runs).token, 1000).decode("ascii").strip()
    return Claim(DashboardDirectory(runs), lock, socket.socket(fileno=listener), token)


if __name__ == "__main__":
    main(sys.argv[1:])
