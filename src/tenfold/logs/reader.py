"""Reading what tasks wrote: lines with their times, from the start, the end or a moment on.

Reads only the run directory, in bounded pieces, during the run and after it. How lines are shown
is a view's business.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.files import open_regular
from tenfold.logs.files import LogFiles, dropped_words, hole_words, look
from tenfold.rundir import TaskDirectory

STREAMS = ("stdout", "stderr")
_PIECE_BYTES = 1 << 18
_ALL_PIECES_BYTES = 1 << 26
_LONGEST_LINE_BYTES = 1 << 20
_HOLE_BYTES = 1 << 13
_MOST_TIMES_BYTES = 1 << 28
"""Of a file of times at once: days of lines, one every twentieth of a second."""


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
    """One stream of one task, read forward; `read` gives what is new since the last call.

    Goes on over the turn of a log that has reached its limit. Where bytes were dropped before
    they were read, a line says so.
    """

    def __init__(
        self, directory: TaskDirectory, stream: str, piece_bytes: int = _PIECE_BYTES
    ) -> None:
        self._label = directory.label
        self._directory = directory
        self._stream = stream
        self._files = look(directory, stream)
        self._piece_bytes = piece_bytes
        self._position = 0
        self._rest = b""
        self._offsets = array("q")
        self._times = array("d")
        self._times_read = 0
        self._times_turn = 0

    @property
    def task(self) -> str:
        """The label of the task."""
        return self._label

    @property
    def stream(self) -> str:
        """`stdout` or `stderr`."""
        return self._stream

    def seek_time(self, moment: float) -> None:
        """Skip the lines that came before `moment`."""
        self._look()
        self._load_times()
        index = bisect.bisect_left(self._times, moment)
        self.skip_to(self._offsets[index] if index < len(self._offsets) else self.size())

    def starts(self, lines: int) -> list[tuple[float, int]]:
        """Time and offset of each of the last `lines` lines that have not been read yet."""
        if lines <= 0:
            return []
        files = self._look()
        self._load_times()
        begin = max(_tail_offset(files, lines), self._position)
        offsets = deque(_line_offsets(files, begin), maxlen=lines)
        return [(self._time_of(offset), offset) for offset in offsets]

    def skip_to(self, offset: int | None) -> None:
        """Go on from byte `offset`, where a line begins, or from the end; never back."""
        wanted = self.size() if offset is None else offset
        if wanted > self._position:
            self._position, self._rest = wanted, b""

    def size(self) -> int:
        """Bytes that were written by now, those that were dropped among them."""
        return self._look().end

    def _look(self) -> LogFiles:
        if not self._files.are_current():
            self._files = look(self._directory, self._stream)
        return self._files

    def read(self, *, last: bool = False, end_at: int | None = None) -> list[LogLine]:
        """Whole lines that are new, at most a few thousand; with `last`, also an unended one.

        An empty answer means that there is nothing more for now, before byte `end_at`.
        """
        while True:
            files = self._look()
            if files.end < self._position:  # somebody emptied it
                self._position, self._rest = files.dropped, b""
            if self._position < files.dropped:
                words = dropped_words(files.dropped - self._position)
                return self._skip(files.dropped, words)
            data = self._next_piece(files, end_at)
            if len(data) >= _HOLE_BYTES and not data.strip(b"\0"):
                beyond = min(files.after_hole(self._position), end_at or files.end)
                if beyond - self._position >= _HOLE_BYTES:
                    return self._skip(beyond, hole_words(beyond - self._position))
            if self._position < self._files.dropped:
                continue
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

    def _next_piece(self, files: LogFiles, end_at: int | None) -> bytes:
        end = files.end if end_at is None else min(files.end, end_at)
        wanted = min(self._piece_bytes, end - self._position)
        if wanted <= 0:
            return b""
        data = files.read(self._position, wanted)
        if not data:  # the log has turned since it was looked at
            self._files = look(self._directory, self._stream)
        return data

    def _skip(self, to: int, words: str) -> list[LogLine]:
        """Go on from byte `to`; a line says why, after what is left of the one before."""
        self._load_times()
        start = self._position - len(self._rest)
        lines = list(self._lines(self._rest, start)) if self._rest else []
        lines.append(LogLine(self._time_of(to), self._label, self._stream, words))
        self._position, self._rest = to, b""
        return lines

    def _lines(self, text: bytes, start: int) -> Iterator[LogLine]:
        for line in text.removesuffix(b"\n").split(b"\n"):
            shown = line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")
            yield LogLine(self._time_of(start), self._label, self._stream, shown)
            start += len(line) + 1

    def _time_of(self, offset: int) -> float:
        index = bisect.bisect_right(self._offsets, offset) - 1
        return self._times[index] if index >= 0 else 0.0

    def _load_times(self) -> None:
        """Read what is new in the times; after a turn of the log, all of them."""
        if self._files.turn != self._times_turn:
            self._offsets, self._times = array("q"), array("d")
            self._times_turn, self._times_read = self._files.turn, 0
            if self._files.dropped != self._files.turn:
                self._add_times(self._directory.older_times(self._stream), 0)
        self._times_read += self._add_times(self._directory.times(self._stream), self._times_read)

    def _add_times(self, path: Path, start: int) -> int:
        """Take the whole lines of `path` from byte `start` on; how many bytes those are."""
        try:
            with open_regular(path) as stream:
                stream.seek(start)
                data = stream.read(_MOST_TIMES_BYTES)
        except OSError:
            return 0
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                offset, moment = line.split()
                self._add_time(int(offset), float(moment))
        return len(whole)

    def _add_time(self, offset: int, moment: float) -> None:
        self._offsets.append(offset)
        self._times.append(moment)


def _tail_offset(files: LogFiles, lines: int) -> int:
    """Where the last `lines` lines begin."""
    position, found = files.end, 0
    first = max(files.dropped, files.end - lines * _LONGEST_LINE_BYTES)
    while position > first:
        size = min(_PIECE_BYTES, position - first)
        position -= size
        piece = files.read(position, size)
        if position + size == files.end and piece.endswith(b"\n"):
            piece = piece[:-1]
        at = len(piece)
        while (at := piece.rfind(b"\n", 0, at)) >= 0:
            found += 1
            if found == lines:
                return position + at + 1
    return first


def _line_offsets(files: LogFiles, begin: int) -> Iterator[int]:
    """Where each line from byte `begin` on begins; one that is too long begins several times."""
    rest = 0
    while piece := files.read(begin + rest, _PIECE_BYTES):
        at = 0
        while (end := piece.find(b"\n", at) + 1) > 0:
            yield begin
            begin, rest, at = begin + rest + end - at, 0, end
        rest += len(piece) - at
        if rest >= _LONGEST_LINE_BYTES:
            yield begin
            begin, rest = begin + rest, 0
    if rest:
        yield begin


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


def last_lines(directory: TaskDirectory, count: int, streams: Sequence[str] = STREAMS) -> list[str]:
    """The last `count` lines a task wrote to either stream, or to one of them, in order."""
    both = [reader for reader in readers([directory]) if reader.stream in streams]
    skip_to_tail(both, count)
    return [line.text for line in merged(both, last=True)]
