"""When each byte of a log was written, read from `stdout.times` in pieces.

The file has a line for each piece the supervisor got, `OFFSET UNIX_TIME`, both rising; of a large
log it can be as large itself, so that it is searched, never read whole.
"""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Callable
from pathlib import Path

from tenfold.run.files import read_piece, size_of
from tenfold.run.rundir import TaskDirectory

_NEAR_BYTES = 1 << 15
_PIECE_BYTES = 5 * _NEAR_BYTES
_LINE_BYTES = 128


class StreamTimes:
    """The times of one stream of one task, whose newest log begins at byte `turn`."""

    def __init__(self, directory: TaskDirectory, stream: str, turn: int) -> None:
        self.turn = turn
        self._older = LogTimes(directory.older_times(stream))
        self._newest = LogTimes(directory.times(stream))

    def at(self, offset: int) -> tuple[float, int]:
        """When byte `offset` was written, and up to which offset that is certain.

        0 if nobody wrote that down.
        """
        if offset >= self.turn:
            return self._newest.at(offset)
        moment, until = self._older.at(offset)
        return moment, min(until, self.turn)

    def of(self, offset: int) -> float:
        """When byte `offset` was written, or 0 if this was not recorded."""
        return self.at(offset)[0]

    def first_since(self, moment: float) -> int | None:
        """The offset of the first piece written at `moment` or later, or None."""
        if self.turn and (found := self._older.first_since(moment)) is not None:
            return found
        return self._newest.first_since(moment)

    def expect_more(self) -> None:
        """Note that the log and its times have grown."""
        self._newest.expect_more()


class LogTimes:
    """One file of times, as of the first query or the last `expect_more`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size: int | None = None
        self._offsets: list[int] = []
        self._times: list[float] = []
        self._from = self._to = self._whole = 0
        """The loaded part: bytes `_from` to `_to`. Its last line ends at `_whole`."""

    def of(self, offset: int) -> float:
        """When byte `offset` was written, or 0 if this was not recorded."""
        return self.at(offset)[0]

    def at(self, offset: int) -> tuple[float, int]:
        """The same as `of`, and the offset up to which this holds."""
        if not self._holds(offset):
            self._find(offset)
        index = bisect.bisect_right(self._offsets, offset)
        if not self._times:
            return 0.0, offset + 1
        until = self._offsets[index] if 0 < index < len(self._offsets) else offset + 1
        return self._times[max(0, index - 1)], until

    def first_since(self, moment: float) -> int | None:
        """The offset of the first piece written at `moment` or later, or None."""
        self._load(self._search(lambda _, time: time < moment))
        index = bisect.bisect_left(self._times, moment)
        return self._offsets[index] if index < len(self._offsets) else None

    def expect_more(self) -> None:
        """Check the file's size again. A shorter file is a different one."""
        before, self._size = self._size, None
        if not self._offsets or (before is not None and self._length() < before):
            self._offsets, self._times = [], []
            self._from = self._to = self._whole = 0

    def _length(self) -> int:
        if self._size is None:
            self._size = size_of(self._path)
        return self._size

    def _holds(self, offset: int) -> bool:
        """Whether the loaded part contains the time of `offset`."""
        if not self._offsets:
            return self._to > 0  # it was loaded, and is damaged
        before = self._from == 0 or self._offsets[0] <= offset
        return before and (offset < self._offsets[-1] or self._to >= self._length())

    def _find(self, offset: int) -> None:
        """Load the lines around `offset`. Usually they follow the loaded part."""
        if self._offsets and offset >= self._offsets[-1]:
            self._go_on()
        if not self._holds(offset):
            self._load(self._search(lambda place, _: place <= offset))

    def _search(self, is_before: Callable[[int, float], bool]) -> int:
        """Find the last line for which `is_before` holds, to within a piece."""
        low, high = 0, self._length()
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
        """Load the lines around byte `place` of the file."""
        self._from = max(0, place - 2 * _NEAR_BYTES)
        self._offsets, self._times = [], []
        self._take(self._from, cut=self._from > 0)

    def _go_on(self) -> None:
        """Load the following lines, and the last one."""
        self._offsets, self._times = self._offsets[-1:], self._times[-1:]
        self._from = self._whole
        self._take(self._whole)

    def _take(self, begin: int, *, cut: bool = False) -> None:
        """Add the lines from byte `begin` on.

        Without the first one if it may be `cut`.
        """
        data = read_piece(self._path, begin, _PIECE_BYTES)
        self._to = max(1, begin + len(data))
        end = data.rfind(b"\n") + 1
        self._whole = begin + end
        start = data.find(b"\n") + 1 if cut else 0
        offsets, times = _all_parsed(data[start:end])
        self._offsets += offsets
        self._times += times


def _all_parsed(lines: bytes) -> tuple[list[int], list[float]]:
    """Offsets and times of whole lines; damaged ones are left out."""
    words = lines.split()
    if len(words) == 2 * lines.count(b"\n"):
        with contextlib.suppress(ValueError):
            offsets, times = [*map(int, words[::2])], [*map(float, words[1::2])]
            if all(map(_is_sound, offsets, times)):
                return offsets, times
    found = [pair for line in lines.splitlines() if (pair := _parsed(line))]
    return [offset for offset, _ in found], [time for _, time in found]


def _parsed(line: bytes) -> tuple[int, float] | None:
    try:
        offset, moment = line.split()
        place, time = int(offset), float(moment)
    except ValueError:
        return None
    return (place, time) if _is_sound(place, time) else None


def _is_sound(offset: int, moment: float) -> bool:
    return 0 <= offset < 1e18 and 0 <= moment < 1e12
