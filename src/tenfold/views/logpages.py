"""Pages of what tasks wrote: any tasks together, by time, from the end back or from a place on.

Reads in bounded pieces from where the page is, so that the end of a log of any size is there at
once. A page's `start` and `end` are cursors: where each stream was, opaque to whoever holds them.
Leaves to others: what a filter means, and when a line came (`tenfold.logs`).
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tenfold.errors import InputError
from tenfold.logs import STREAMS
from tenfold.logs.files import LogFiles, dropped_words, look
from tenfold.logs.times import StreamTimes
from tenfold.naming import label_of, name_of
from tenfold.rundir import RunDirectory, TaskDirectory
from tenfold.views.inside import task_labels
from tenfold.views.terminal import Terminal

MOST_LINES = 5000
"""Of a page."""

SCAN_BYTES = 8 << 20
"""How much one page looks through for its lines, give or take one."""

SCAN_S = 1.0
"""How long one page looks, give or take a line: some filters are slow."""

_PIECE_BYTES = 1 << 17
_ALL_PIECES_BYTES = 1 << 24
_LONGEST_LINE_BYTES = 1 << 20
_SHOWN_BYTES = 10_000

_PLAIN = Terminal(io.StringIO(), "never")

Passes = Callable[[str], bool]
Spans = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class LogPageQuery:
    """What a page is to hold.

    `tasks` are names (`worker/3`), labels (`worker-3`) or jobs; none means all. `cursor` is what an
    earlier page of the same tasks and streams gave; without one, the page begins at the time `at`,
    or at the end. A page may hold less than `lines` lines, or none, and still say `more`: it looks
    through `SCAN_BYTES` at most, and for `SCAN_S`. `spans` tells where in a line a match is.
    """

    tasks: tuple[str, ...] = ()
    streams: tuple[str, ...] = STREAMS
    cursor: str | None = None
    direction: Literal["back", "on"] = "back"
    lines: int = 500
    at: float | None = None
    passes: Passes | None = None
    spans: Spans | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """Bytes `start` to `end` of a log."""

    start: int
    end: int
    data: bytes


class _Log:
    """One stream of one task, as long as it is when this is made.

    Positions are offsets as in `logs.files`. In the place of what was dropped stands a line.
    """

    def __init__(self, directory: TaskDirectory, stream: str, piece_bytes: int) -> None:
        self.task = name_of(directory.label)
        self.stream = stream
        self.key = f"{directory.label} {stream[3]}"
        self.files = look(directory, stream)
        self.begin, self.size = self.files.dropped, self.files.end
        self.times = StreamTimes(directory, stream, self.files.turn)
        self._piece_bytes = piece_bytes

    def last_newline(self) -> int:
        """The byte after the last whole line; the end, if that is too far away to be a line's."""
        position, piece = self.size, 4096
        while position > self.begin and self.size - position < _LONGEST_LINE_BYTES:
            begin = max(self.begin, position - piece)
            found = self._read(begin, position).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            position, piece = begin, piece * 4
        return self.size if position > self.begin else self.begin

    def line_since(self, moment: float) -> int:
        """Where the first line begins that came at `moment` or later."""
        offset = self.times.first_since(moment)
        if offset is None or offset >= self.size:
            return self.size
        if offset <= self.begin or self._read(offset - 1, offset) == b"\n":
            return max(offset, self.begin)
        for begin in range(offset, min(self.size, offset + _LONGEST_LINE_BYTES), _PIECE_BYTES):
            found = self._read(begin, begin + _PIECE_BYTES).find(b"\n")
            if found >= 0:
                return begin + found + 1
        return min(self.size, offset + _LONGEST_LINE_BYTES)

    def back(self, position: int) -> Iterator[_Line]:
        """Lines before `position`, the last one first."""
        begin, data, end, piece = position, b"", 0, self._piece_bytes
        while True:
            cut = data.rfind(b"\n", 0, max(0, end - 1))
            if cut >= 0:
                yield _Line(begin + cut + 1, begin + end, data[cut + 1 : end])
                end = cut + 1
            elif begin <= self.begin or end > _LONGEST_LINE_BYTES:
                if end:
                    yield _Line(begin, begin + end, data[:end])
                if begin <= self.begin:
                    yield from self._dropped(0)
                    return
                end = 0
            else:
                before = max(self.begin, begin - piece)
                data = self._read(before, begin) + data[:end]
                end, begin, piece = end + begin - before, before, min(2 * piece, _PIECE_BYTES)
                if len(data) < end:  # it was cut short while it was read
                    return

    def on(self, position: int, *, last: bool) -> Iterator[_Line]:
        """Lines from `position` on; with `last`, also one that is not ended."""
        yield from self._dropped(position)
        position = max(position, self.begin)
        data, begin, read = b"", position, position
        while read < self.size:
            piece = self._read(read, min(self.size, read + self._piece_bytes))
            if not piece:
                return
            read += len(piece)
            data += piece
            ended = last and read >= self.size
            whole = len(data) if ended or len(data) > _LONGEST_LINE_BYTES else data.rfind(b"\n") + 1
            for line in io.BytesIO(data[:whole]):
                yield _Line(begin, begin + len(line), line)
                begin += len(line)
            data = data[whole:]

    def _dropped(self, since: int) -> Iterator[_Line]:
        """A word about what was dropped since byte `since`, at the place where the log begins."""
        if since < self.begin:
            words = dropped_words(self.begin - since)
            yield _Line(self.begin, self.begin, words.encode())

    def _read(self, start: int, end: int) -> bytes:
        return self.files.read(start, end - start)


def page(run: RunDirectory, wanted: LogPageQuery) -> dict[str, Any]:
    """`{version, lines: [{time, task, stream, text}], start, end, more}`; lines in order.

    With `spans`, each line has `marks`: `[begin, end]` of each match, in UTF-16 units.
    `more`: with `back`, there is something before `start`; with `on`, the page was full before the
    log's end. Tasks that have left nothing have no lines. Raises InputError for a cursor of other
    tasks or streams.
    """
    labels = chosen_labels(run, wanted.tasks)
    places = [(label, stream) for label in labels for stream in wanted.streams]
    piece = max(1 << 12, min(_PIECE_BYTES, _ALL_PIECES_BYTES // max(1, len(places))))
    ended = not run.alive()
    logs = [_Log(run.task(label), stream, piece) for label, stream in places]
    positions = _positions(logs, wanted, ended)
    read = _back if wanted.direction == "back" else _on
    lines, reached, more = read(logs, positions, wanted, ended)
    start, end = (reached, positions) if wanted.direction == "back" else (positions, reached)
    return {
        "version": 1,
        "lines": lines,
        "start": _cursor(logs, start, wanted),
        "end": _cursor(logs, end, wanted),
        "more": more,
    }


def chosen_labels(run: RunDirectory, words: Sequence[str]) -> list[str]:
    """Labels of the tasks that have left something and that one of these words names."""
    there = sorted(task_labels(run))
    if not words:
        return there
    wanted = {label_of(word) for word in words}
    return [label for label in there if label in wanted or label.rpartition("-")[0] in wanted]


def _positions(logs: Sequence[_Log], wanted: LogPageQuery, ended: bool) -> list[int]:
    """Where the page begins in each log; a log that the cursor does not know is new since."""
    if wanted.cursor is not None:
        given = _given(wanted.cursor, wanted)
        return [min(given.get(log.key, 0), log.size) for log in logs]
    if wanted.at is not None:
        return [log.line_since(wanted.at) for log in logs]
    return [log.size if ended else log.last_newline() for log in logs]


def _back(
    logs: Sequence[_Log], positions: Sequence[int], wanted: LogPageQuery, ended: bool
) -> tuple[list[dict[str, Any]], list[int], bool]:
    """The newest lines before these positions: lines in order, where they begin, whether more."""
    del ended
    reached = list(positions)
    sources = [log.back(place) for log, place in zip(logs, positions, strict=True)]
    found: list[dict[str, Any]] = []
    budget = _Budget(wanted)
    for n, moment, line in _by_time(logs, sources, -1):
        if (text := _shown(line, wanted.passes)) is not None:
            found.append(_told(logs[n], moment, text, wanted.spans))
        reached[n] = line.start
        budget.scanned += len(line.data)
        if budget.is_used_up(found):
            break
    more = any(place > log.begin for log, place in zip(logs, reached, strict=True))
    return found[::-1], reached, more


def _on(
    logs: Sequence[_Log], positions: Sequence[int], wanted: LogPageQuery, ended: bool
) -> tuple[list[dict[str, Any]], list[int], bool]:
    """The oldest lines from these positions on: lines, where they end, whether there are more."""
    reached = list(positions)
    sources = [log.on(place, last=ended) for log, place in zip(logs, positions, strict=True)]
    found: list[dict[str, Any]] = []
    budget = _Budget(wanted)
    for n, moment, line in _by_time(logs, sources, 1):
        if budget.is_used_up(found):
            return found, reached, True
        if (text := _shown(line, wanted.passes)) is not None:
            found.append(_told(logs[n], moment, text, wanted.spans))
        reached[n] = line.end
        budget.scanned += len(line.data)
    return found, reached, False


def _by_time(
    logs: Sequence[_Log], sources: Sequence[Iterator[_Line]], sign: int
) -> Iterator[tuple[int, float, _Line]]:
    """Lines of all logs by time, rising (`sign` 1) or falling (-1); each log keeps its order.

    `LogTimes` are read when a line comes to the front, so that a page of one task costs one.
    """

    def head(n: int, least: float) -> tuple[float, int, float, _Line] | None:
        line = next(sources[n], None)
        if line is None:
            return None
        moment = logs[n].times.of(line.start)
        return max(least, sign * moment), sign * n, moment, line

    heads = [entry for n in range(len(logs)) if (entry := head(n, -float("inf")))]
    heapq.heapify(heads)
    while heads:
        key, place, moment, line = heads[0]
        yield abs(place), moment, line
        if after := head(abs(place), key):
            heapq.heapreplace(heads, after)
        else:
            heapq.heappop(heads)


class _Budget:
    """What one page may cost. At least one line is looked at, so that pages get on."""

    def __init__(self, wanted: LogPageQuery) -> None:
        self._lines = min(MOST_LINES, max(1, wanted.lines))
        self._end = time.monotonic() + SCAN_S
        self.scanned = 0

    def is_used_up(self, found: Sequence[object]) -> bool:
        """Whether the page has to end here."""
        if self.scanned > SCAN_BYTES or len(found) >= self._lines:
            return True
        return self.scanned > 0 and time.monotonic() > self._end


def _shown(line: _Line, passes: Passes | None) -> str | None:
    """A line as people see it: what was left of it, without colours; None if it is not wanted.

    Of a very long line only the beginning is looked at and shown.
    """
    left = line.data.rstrip(b"\r\n").rpartition(b"\r")[2]
    text = _PLAIN.foreign(left[:_SHOWN_BYTES].decode(errors="replace"))
    if passes is not None and not passes(text):
        return None
    return text if len(left) <= _SHOWN_BYTES else f"{text}… ({len(left):,} bytes)"


def _told(log: _Log, moment: float, text: str, spans: Spans | None) -> dict[str, Any]:
    told = {"time": moment, "task": log.task, "stream": log.stream, "text": text}
    return told if spans is None else told | {"marks": _utf16(text, spans(text))}


def _utf16(text: str, spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Spans of characters as a browser counts them, which has two units for some characters."""
    if text.isascii():
        return [list(span) for span in spans]
    return [[len(text[:place].encode("utf-16-le")) // 2 for place in span] for span in spans]


def _cursor(logs: Sequence[_Log], positions: Sequence[int], wanted: LogPageQuery) -> str:
    places = {log.key: place for log, place in zip(logs, positions, strict=True) if place}
    return json.dumps([_selection(wanted), places], separators=(",", ":"))


def _selection(wanted: LogPageQuery) -> str:
    chosen = repr((sorted(set(wanted.tasks)), wanted.streams))
    return hashlib.sha256(chosen.encode("utf-8", "replace")).hexdigest()[:12]


def _given(cursor: str, wanted: LogPageQuery) -> dict[str, int]:
    with contextlib.suppress(ValueError, RecursionError):
        match json.loads(cursor):
            case [str(selection), dict(places)] if selection == _selection(wanted):
                if all(type(place) is int and place >= 0 for place in places.values()):
                    return places
    raise InputError("this cursor is of other tasks or streams", hint="begin without a cursor")


def log_of(run: RunDirectory, label: str, stream: str) -> LogFiles | None:
    """The log of a task that is there, and a stream that there is; None otherwise."""
    if stream not in STREAMS or label not in task_labels(run):
        return None
    return look(run.task(label), stream)
