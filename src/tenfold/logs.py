"""Reading what tasks wrote: lines with their times, from the start, the end or a moment on.

Reads only the run directory, in bounded pieces, during the run and after it. How lines are shown
is a view's business.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
import os
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from tenfold.rundir import TaskDirectory, open_regular

STREAMS = ("stdout", "stderr")
_PIECE_BYTES = 1 << 18
_ALL_PIECES_BYTES = 1 << 26
_LONGEST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a task's output, without its newline; bytes that are no UTF-8 are replaced.

    `time` (seconds since 1970) is when the supervisor got the piece the line begins in. Of a line
    that was written over with carriage returns, as progress bars are, `text` is what was left.
    """

    time: float
    task: str
    stream: str
    text: str


class LogReader:
    """One stream of one task, read forward; `read` gives what is new since the last call."""

    def __init__(
        self, directory: TaskDirectory, stream: str, piece_bytes: int = _PIECE_BYTES
    ) -> None:
        self._label = directory.label
        self._log = directory.log(stream)
        self._times_log = directory.times(stream)
        self._stream = stream
        self._piece_bytes = piece_bytes
        self._position = 0
        self._rest = b""
        self._offsets = array("q")
        self._times = array("d")
        self._times_read = 0

    @property
    def task(self) -> str:
        """The label of the task."""
        return self._label

    def seek_time(self, moment: float) -> None:
        """Skip the lines that came before `moment`."""
        self._load_times()
        index = bisect.bisect_left(self._times, moment)
        self.skip_to(self._offsets[index] if index < len(self._offsets) else self.size())

    def starts(self, lines: int) -> list[tuple[float, int]]:
        """Time and offset of each of the last `lines` lines that have not been read yet."""
        if lines <= 0:
            return []
        self._load_times()
        with contextlib.suppress(OSError), open_regular(self._log) as log:
            begin = max(_tail_offset(log, lines), self._position)
            offsets = deque(_line_offsets(log, begin), maxlen=lines)
            return [(self._time_of(offset), offset) for offset in offsets]
        return []

    def skip_to(self, offset: int | None) -> None:
        """Go on from byte `offset`, where a line begins, or from the end; never back."""
        wanted = self.size() if offset is None else offset
        if wanted > self._position:
            self._position, self._rest = wanted, b""

    def size(self) -> int:
        """Bytes in the log by now."""
        try:
            return self._log.stat().st_size
        except OSError:
            return 0

    def read(self, *, last: bool = False, end_at: int | None = None) -> list[LogLine]:
        """Whole lines that are new, at most a few thousand; with `last`, also an unended one.

        An empty answer means that there is nothing more for now, before byte `end_at`.
        """
        while True:
            data = self._next_piece(end_at)
            start = self._position - len(self._rest)
            self._position += len(data)
            text = self._rest + data
            end = text.rfind(b"\n") + 1
            if (last and not data) or (end == 0 and len(text) > _LONGEST_LINE_BYTES):
                end = len(text)
            self._rest = text[end:]
            if end:
                self._load_times()
                return list(self._lines(text[:end], start))
            if not data:
                return []

    def _next_piece(self, end_at: int | None) -> bytes:
        size = self.size()
        if size < self._position:  # somebody emptied it
            self._position, self._rest = 0, b""
        end = size if end_at is None else min(size, end_at)
        if end <= self._position:
            return b""
        try:
            with open_regular(self._log) as log:
                log.seek(self._position)
                return log.read(min(self._piece_bytes, end - self._position))
        except OSError:
            return b""

    def _lines(self, text: bytes, start: int) -> Iterator[LogLine]:
        for line in text.removesuffix(b"\n").split(b"\n"):
            shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
            yield LogLine(self._time_of(start), self._label, self._stream, shown)
            start += len(line) + 1

    def _time_of(self, offset: int) -> float:
        index = bisect.bisect_right(self._offsets, offset) - 1
        return self._times[index] if index >= 0 else 0.0

    def _load_times(self) -> None:
        try:
            with open_regular(self._times_log) as stream:
                stream.seek(self._times_read)
                data = stream.read()
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._times_read += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                offset, moment = line.split()
                self._add_time(int(offset), float(moment))

    def _add_time(self, offset: int, moment: float) -> None:
        self._offsets.append(offset)
        self._times.append(moment)


def _tail_offset(log: IO[bytes], lines: int) -> int:
    """Where the last `lines` lines begin."""
    end = log.seek(0, os.SEEK_END)
    position, found = end, 0
    while position > 0:
        size = min(_PIECE_BYTES, position)
        position -= size
        log.seek(position)
        piece = log.read(size)
        if position + size == end and piece.endswith(b"\n"):
            piece = piece[:-1]
        at = len(piece)
        while (at := piece.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == lines:
                return position + at + 1
    return 0


def _line_offsets(log: IO[bytes], begin: int) -> Iterator[int]:
    """Where each line from byte `begin` on begins."""
    log.seek(begin)
    for line in iter(lambda: log.readline(_LONGEST_LINE_BYTES), b""):
        yield begin
        begin += len(line)


def skip_to_tail(all_readers: Sequence[LogReader], lines: int) -> None:
    """Skip all but the last `lines` lines of each task, both of its streams taken together."""
    by_task: dict[str, list[LogReader]] = {}
    for reader in all_readers:
        by_task.setdefault(reader.task, []).append(reader)
    for own in by_task.values():
        starts = [
            (time, n, at) for n, reader in enumerate(own) for time, at in reader.starts(lines)
        ]
        kept = heapq.nlargest(lines, starts)
        for n, reader in enumerate(own):
            reader.skip_to(min((at for _, of, at in kept if of == n), default=None))


def merged(all_readers: Sequence[LogReader], *, last: bool = False) -> Iterator[LogLine]:
    """What is new in all of them, by time; lines of one stream keep their order.

    Holds one piece of each stream, however much there is to read, and leaves what comes after
    the call to the next one, so that it ends however fast a task writes.
    """
    ends = [reader.size() for reader in all_readers]
    pieces = [iter(()) for _ in all_readers]  # type: list[Iterator[LogLine]]

    def following(place: int) -> LogLine | None:
        line = next(pieces[place], None)
        if line is None:
            pieces[place] = iter(all_readers[place].read(last=last, end_at=ends[place]))
            line = next(pieces[place], None)
        return line

    heads = [(line.time, n, line) for n in range(len(pieces)) if (line := following(n))]
    heapq.heapify(heads)
    while heads:
        _, place, line = heads[0]
        yield line
        if after := following(place):
            heapq.heapreplace(heads, (max(after.time, line.time), place, after))
        else:
            heapq.heappop(heads)


def readers(directories: Iterable[TaskDirectory]) -> list[LogReader]:
    """A reader for both streams of each task."""
    places = [(directory, stream) for directory in directories for stream in STREAMS]
    piece = max(1 << 13, min(_PIECE_BYTES, _ALL_PIECES_BYTES // max(1, len(places))))
    return [LogReader(directory, stream, piece) for directory, stream in places]


def last_lines(directory: TaskDirectory, count: int) -> list[str]:
    """The last `count` lines a task wrote to either stream, in order."""
    both = readers([directory])
    skip_to_tail(both, count)
    return [line.text for line in merged(both, last=True)]
