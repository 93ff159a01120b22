"""Read lines of task output with their times.

Lines can be read forward, backward, from the end, or from a point in time on.

Reads only the run directory, in bounded pieces, during the run and after it. How lines are shown
is a view's business.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tenfold.run.logs.files import LogFiles, dropped_words, hole_words, look
from tenfold.run.logs.times import StreamTimes
from tenfold.run.rundir import TaskDirectory

STREAMS = ("stdout", "stderr")
_PIECE_BYTES = 1 << 18
_ALL_PIECES_BYTES = 1 << 26
_LEAST_PIECE_BYTES = 1 << 13
_LONGEST_LINE_BYTES = 1 << 20
_HOLE_BYTES = 1 << 13


class LogLine(NamedTuple):
    """One line of a task's output, without its newline.

    Bytes that are not UTF-8 are replaced.

    `time` (seconds since 1970) is when the supervisor got the piece the line begins in. Of a line
    that was written over with carriage returns, as progress bars are, `text` is what was left.
    `start` and `end` are offsets in the stream; they are equal for words of tenfold's own.
    """

    time: float
    task: str
    stream: str
    text: str
    start: int = 0
    end: int = 0


class LogReader:
    """Reader of one stream of one task, from byte `position` on.

    Each `read` returns what is new since the last call.

    Goes on over the turn of a log that has reached its limit. Where bytes were dropped before
    they were read, a line says so.

    Attributes:
        task: the label of the task.
        stream: `stdout` or `stderr`.
        position: the offset of the first byte that was not read yet.
    """

    def __init__(
        self, directory: TaskDirectory, stream: str, piece_bytes: int = _PIECE_BYTES
    ) -> None:
        self.task = directory.label
        self.stream = stream
        self.position = 0
        self._directory = directory
        self._files = look(directory, stream)
        self._times = StreamTimes(directory, stream, self._files.turn)
        self._piece_bytes = piece_bytes
        self._rest = b""
        """The part of an unfinished line that was read. It ends at `position`."""

    # Where things are

    @property
    def begin(self) -> int:
        """The offset of the oldest byte at the reader's last look."""
        return self._files.dropped

    @property
    def end(self) -> int:
        """The offset after the last byte at the reader's last look."""
        return self._files.end

    def size(self) -> int:
        """The number of bytes written so far, including dropped bytes."""
        return self._look().end

    def last_newline(self) -> int:
        """The offset after the last whole line.

        The end of the log, if the last newline is too far away to belong to a line.
        """
        files = self._look()
        position, piece = files.end, 4096
        while position > files.dropped and files.end - position < _LONGEST_LINE_BYTES:
            begin = max(files.dropped, position - piece)
            found = files.read(begin, position - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            position, piece = begin, piece * 4
        return files.end if position > files.dropped else files.dropped

    def line_since(self, moment: float) -> int:
        """The start of the first line written at `moment` or later."""
        files = self._look()
        offset = self._times.first_since(moment)
        if offset is None or offset >= files.end:
            return files.end
        if offset <= files.dropped or files.read(offset - 1, 1) == b"\n":
            return max(offset, files.dropped)
        last = min(files.end, offset + _LONGEST_LINE_BYTES)
        for begin in range(offset, last, _PIECE_BYTES):
            found = files.read(begin, _PIECE_BYTES).find(b"\n")
            if found >= 0:
                return begin + found + 1
        return last

    def seek_time(self, moment: float) -> None:
        """Skip the lines written before `moment`."""
        self.skip_to(self.line_since(moment))

    def skip_to(self, offset: int | None) -> None:
        """Skip forward to byte `offset`, where a line begins, or to the end."""
        wanted = self.size() if offset is None else offset
        if wanted > self.position:
            self.position, self._rest = wanted, b""

    # Forward

    def read(self, *, last: bool = False, end_at: int | None = None) -> list[LogLine]:
        """Read new whole lines, at most a few thousand.

        With `last`, an unfinished last line is returned too.

        An empty answer means that there is nothing more for now, before byte `end_at`.
        """
        return list(self._next_lines(last, end_at) or ())

    def lines(self, *, last: bool = False, end_at: int | None = None) -> Iterator[LogLine]:
        """All new lines, one by one, as `read` returns them."""
        while (piece := self._next_lines(last, end_at)) is not None:
            yield from piece

    def _next_lines(self, last: bool, end_at: int | None) -> Iterator[LogLine] | None:
        """The lines of the next piece; None if there are none."""
        while True:
            files = self._look()
            if files.end < self.position:  # somebody emptied it
                self.position, self._rest = files.dropped, b""
            if self.position < files.dropped:
                return self._skip(files.dropped, dropped_words(files.dropped - self.position))
            data = self._next_piece(files, end_at)
            if self.position < self._files.dropped:
                continue
            if (beyond := self._after_hole(files, data, end_at)) is not None:
                return self._skip(beyond, hole_words(beyond - self.position))
            start = self.position - len(self._rest)
            self.position += len(data)
            text = self._rest + data
            end = text.rfind(b"\n") + 1
            if (last and not data) or (end == 0 and len(text) > _LONGEST_LINE_BYTES):
                end = len(text)
            self._rest = text[end:]
            if end:
                return self._split(text[:end], start)
            if not data:
                return None

    def _next_piece(self, files: LogFiles, end_at: int | None) -> bytes:
        end = files.end if end_at is None else min(files.end, end_at)
        wanted = min(self._piece_bytes, end - self.position)
        if wanted <= 0:
            return b""
        data = files.read(self.position, wanted)
        if not data:  # the log has turned since it was looked at
            self._look_anew()
        return data

    def _after_hole(self, files: LogFiles, data: bytes, end_at: int | None) -> int | None:
        """The end of the hole that `data` begins with, or None if there is no hole.

        A hole is a part that nobody has written.
        """
        if len(data) < _HOLE_BYTES or data.strip(b"\0"):
            return None
        beyond = min(files.after_hole(self.position), end_at or files.end)
        return beyond if beyond - self.position >= _HOLE_BYTES else None

    def _skip(self, to: int, words: str) -> Iterator[LogLine]:
        """Skip to byte `to`, and report why in a line of its own.

        What is left of the line before comes first.
        """
        start = self.position - len(self._rest)
        before = list(self._split(self._rest, start)) if self._rest else []
        moment = self._times.of(to)
        self.position, self._rest = to, b""
        return iter([*before, LogLine(moment, self.task, self.stream, words, to, to)])

    def _split(self, text: bytes, start: int) -> Iterator[LogLine]:
        """The lines of `text`, which begins at byte `start`."""
        times, task, stream = self._times, self.task, self.stream
        moment, until, last = 0.0, start, start + len(text)
        for line in text.removesuffix(b"\n").split(b"\n"):
            if start >= until:
                moment, until = times.at(start)
            end = min(start + len(line) + 1, last)
            yield LogLine(moment, task, stream, _shown(line), start, end)
            start = end

    # Backward

    def back(self, position: int) -> Iterator[LogLine]:
        """Lines before byte `position`, last line first, then what was dropped."""
        files, times = self._files, self._times
        for start, end, data in _lines_before(files, position, self._piece_bytes):
            text = _shown(data.removesuffix(b"\n"))
            yield LogLine(times.of(start), self.task, self.stream, text, start, end)
        if files.dropped:
            words = dropped_words(files.dropped)
            place = files.dropped
            yield LogLine(times.of(place), self.task, self.stream, words, place, place)

    def _look(self) -> LogFiles:
        if not self._files.are_current():
            self._look_anew()
        return self._files

    def _look_anew(self) -> None:
        self._files = look(self._directory, self.stream)
        if self._files.turn == self._times.turn:
            self._times.expect_more()
        else:
            self._times = StreamTimes(self._directory, self.stream, self._files.turn)


def _shown(line: bytes) -> str:
    """The visible text of a line that was overwritten."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


def _lines_before(
    files: LogFiles, position: int, piece_bytes: int
) -> Iterator[tuple[int, int, bytes]]:
    """The start, end and bytes of lines before `position`, last line first."""
    begin, data, end, piece = position, b"", 0, piece_bytes
    while True:
        cut = data.rfind(b"\n", 0, max(0, end - 1))
        if cut >= 0:
            yield begin + cut + 1, begin + end, data[cut + 1 : end]
            end = cut + 1
        elif begin <= files.dropped or end > _LONGEST_LINE_BYTES:
            if end:
                yield begin, begin + end, data[:end]
            if begin <= files.dropped:
                return
            end = 0
        else:
            before = max(files.dropped, begin - piece)
            data = files.read(before, begin - before) + data[:end]
            end, begin, piece = end + begin - before, before, min(2 * piece, _PIECE_BYTES)
            if len(data) < end:  # it was cut short while it was read
                return


def by_time(
    sources: Sequence[Iterator[LogLine]], *, back: bool = False
) -> Iterator[tuple[int, LogLine]]:
    """Lines of all sources by time, with their source.

    Each source keeps its order.

    With `back` times fall: sources give their last line first.
    """
    sign = -1 if back else 1
    heads = []
    for n, source in enumerate(sources):
        if line := next(source, None):
            heads.append((sign * line.time, sign * n, line))
    heapq.heapify(heads)
    while heads:
        key, place, line = heads[0]
        yield abs(place), line
        if after := next(sources[abs(place)], None):
            heapq.heapreplace(heads, (max(sign * after.time, key), place, after))
        else:
            heapq.heappop(heads)


def merged(all_readers: Sequence[LogReader], *, last: bool = False) -> Iterator[LogLine]:
    """New lines of all readers, by time. Lines of one stream keep their order.

    Holds one piece of each stream, however much there is to read, and leaves what comes after
    the call to the next one, so that it ends however fast a task writes.
    """
    sources = [reader.lines(last=last, end_at=reader.size()) for reader in all_readers]
    return (line for _, line in by_time(sources))


def skip_to_tail(all_readers: Sequence[LogReader], lines: int) -> None:
    """Skip all but the last `lines` lines of each task, over both its streams."""
    by_task: dict[str, list[LogReader]] = {}
    for reader in all_readers:
        by_task.setdefault(reader.task, []).append(reader)
    for own in by_task.values():
        kept: dict[int, int] = {}
        sources = [_unread_back(reader) for reader in own]
        for n, line in itertools.islice(by_time(sources, back=True), lines):
            kept[n] = line.start
        for n, reader in enumerate(own):
            reader.skip_to(kept.get(n))


def _unread_back(reader: LogReader) -> Iterator[LogLine]:
    """The lines not read yet, last line first."""
    for line in reader.back(reader.size()):
        if line.start < reader.position or line.start == line.end:
            return
        yield line


def readers(
    directories: Iterable[TaskDirectory], streams: Sequence[str] = STREAMS
) -> list[LogReader]:
    """A reader for each of these streams of each task."""
    places = [(directory, stream) for directory in directories for stream in streams]
    share = _ALL_PIECES_BYTES // max(1, len(places))
    piece = max(_LEAST_PIECE_BYTES, min(_PIECE_BYTES, share))
    return [LogReader(directory, stream, piece) for directory, stream in places]


def last_lines(directory: TaskDirectory, count: int, streams: Sequence[str] = STREAMS) -> list[str]:
    """The last `count` lines of a task in order, from one or both of its streams."""
    both = readers([directory], streams)
    skip_to_tail(both, count)
    return [line.text for line in merged(both, last=True)]
