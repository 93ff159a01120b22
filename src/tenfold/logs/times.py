"""When a byte of a log came, out of `stdout.times`, read in pieces.

The file has a line for each piece the supervisor got, `OFFSET UNIX_TIME`, both rising; of a large
log it can be as large itself, so that it is searched, never read whole.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from pathlib import Path

from tenfold.files import read_piece, size_of
from tenfold.rundir import TaskDirectory

_NEAR_BYTES = 1 << 15
_LINE_BYTES = 128


class StreamTimes:
    """The times of one stream of one task, whose newest log begins at byte `turn`."""

    def __init__(self, directory: TaskDirectory, stream: str, turn: int) -> None:
        self._turn = turn
        self._older = LogTimes(directory.older_times(stream))
        self._newest = LogTimes(directory.times(stream))

    def of(self, offset: int) -> float:
        """When byte `offset` of the log came; 0 if nobody wrote that down."""
        return (self._newest if offset >= self._turn else self._older).of(offset)

    def first_since(self, moment: float) -> int | None:
        """The offset of the first piece that came at `moment` or later; None if there is none."""
        if self._turn and (found := self._older.first_since(moment)) is not None:
            return found
        return self._newest.first_since(moment)


class LogTimes:
    """One file of times, as it is when this is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = size_of(path)
        self._offsets: list[int] = []
        self._times: list[float] = []
        self._from = self._to = 0

    def of(self, offset: int) -> float:
        """When byte `offset` of the log came; 0 if nobody wrote that down."""
        if not self._holds(offset):
            self._load(self._search(lambda place, _: place <= offset))
        index = bisect.bisect_right(self._offsets, offset) - 1
        return self._times[max(0, index)] if self._times else 0.0

    def first_since(self, moment: float) -> int | None:
        """The offset of the first piece that came at `moment` or later; None if there is none."""
        self._load(self._search(lambda _, time: time < moment))
        index = bisect.bisect_left(self._times, moment)
        return self._offsets[index] if index < len(self._offsets) else None

    def _holds(self, offset: int) -> bool:
        """Whether what is loaded can tell the time of `offset`."""
        if not self._offsets:
            return self._to > 0  # it was loaded, and is damaged
        before = self._from == 0 or self._offsets[0] <= offset
        return before and (self._to >= self._size or offset < self._offsets[-1])

    def _search(self, is_before: Callable[[int, float], bool]) -> int:
        """Where, to within a piece, the last line is of which `is_before` holds."""
        low, high = 0, self._size
        while high - low > _NEAR_BYTES:
            middle = (low + high) // 2
            found = self._line_after(middle)
            if found is not None and is_before(*found):
                low = middle
            else:
                high = middle
        return low

    def _line_after(self, place: int) -> tuple[int, float] | None:
        lines = read_piece(self._path, place, 2 * _LINE_BYTES).split(b"\n")
        return _parsed(lines[1]) if len(lines) > 2 else None

    def _load(self, place: int) -> None:
        """Have the lines around byte `place` of the file at hand."""
        self._from = max(0, place - 2 * _NEAR_BYTES)
        data = read_piece(self._path, self._from, 5 * _NEAR_BYTES)
        self._to = max(1, self._from + len(data))
        if self._from:
            data = data[data.find(b"\n") + 1 :]
        found = [pair for line in data.split(b"\n")[:-1] if (pair := _parsed(line))]
        self._offsets = [offset for offset, _ in found]
        self._times = [time for _, time in found]


def _parsed(line: bytes) -> tuple[int, float] | None:
    try:
        offset, moment = (float(word) for word in line.split())
        return (int(offset), moment) if 0 <= offset < 1e18 and 0 <= moment < 1e12 else None
    except ValueError:
        return None
