"""Pages of task output: any tasks together, by time.

A page goes backward from the end, or forward from a position.

Reads in bounded pieces from where the page is, so that the end of a log of any size is there at
once. A page's `start` and `end` are cursors: where each stream was, opaque to whoever holds them.
Lines are read, and joined by time, in `tenfold.run.logs`; what a filter means is said there, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tenfold.base.naming import label_of, name_of
from tenfold.errors import InputError
from tenfold.run.logs import STREAMS, LogLine, LogReader, by_time
from tenfold.run.logs.files import LogFiles, look
from tenfold.run.rundir import RunDirectory
from tenfold.views.inside import task_labels
from tenfold.views.openlines import open_lines, read_on
from tenfold.views.terminal import Terminal

MOST_LINES = 5000
"""The maximum number of lines of a page."""

SCAN_BYTES = 8 << 20
"""The number of bytes one page searches for its lines, give or take one."""

SCAN_S = 1.0
"""Seconds that one page searches, give or take a line: some filters are slow."""

_PIECE_BYTES = 1 << 17
_ALL_PIECES_BYTES = 1 << 24
_LONGEST_SHOWN = 10_000

_PLAIN = Terminal(io.StringIO(), "never")

Passes = Callable[[str], bool]
Spans = Callable[[str], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class LogPageQuery:
    """The contents that a page should have.

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


def page(run: RunDirectory, wanted: LogPageQuery) -> dict[str, Any]:
    """`{version, lines: [{time, task, stream, text}], start, end, more, …}`.

    Lines are in order. A page that reaches the end of a run's output tells in `open` what lines
    show that are not finished yet (`openlines`).

    With `spans`, each line has `marks`: `[begin, end]` of each match, in UTF-16 units.
    `more`: with `back`, there is something before `start`; with `on`, the page was full before the
    log's end. Tasks that have left nothing have no lines. Raises InputError for a cursor of other
    tasks or streams.
    """
    labels = chosen_labels(run, wanted.tasks)
    places = [(label, stream) for label in labels for stream in wanted.streams]
    piece = max(1 << 12, min(_PIECE_BYTES, _ALL_PIECES_BYTES // max(1, len(places))))
    ended = not run.alive()
    logs = [LogReader(run.task(label), stream, piece) for label, stream in places]
    positions = _positions(logs, wanted, ended)
    read = _back if wanted.direction == "back" else _on
    lines, reached, more = read(logs, positions, wanted, ended)
    start, end = (reached, positions) if wanted.direction == "back" else (positions, reached)
    at_end = not ended and (not more if wanted.direction == "on" else _begins_at_end(wanted))
    if at_end and wanted.direction == "back":
        for log, place in zip(logs, positions, strict=True):
            read_on(log, place)
    return {
        "version": 1,
        "lines": lines,
        "start": _cursor(logs, start, wanted),
        "end": _cursor(logs, end, wanted),
        "more": more,
        **open_lines(logs if at_end else [], lambda text: _shown(text, wanted.passes)),
    }


def _begins_at_end(wanted: LogPageQuery) -> bool:
    return wanted.cursor is None and wanted.at is None


def chosen_labels(run: RunDirectory, words: Sequence[str]) -> list[str]:
    """Labels of tasks that have left output and match one of these words."""
    there = sorted(task_labels(run))
    if not words:
        return there
    wanted = {label_of(word) for word in words}
    return [label for label in there if label in wanted or label.rpartition("-")[0] in wanted]


def _positions(logs: Sequence[LogReader], wanted: LogPageQuery, ended: bool) -> list[int]:
    """Where the page begins in each log.

    A log that the cursor does not contain is new since then.
    """
    if wanted.cursor is not None:
        given = _given(wanted.cursor, wanted)
        return [min(given.get(_key(log), 0), log.end) for log in logs]
    if wanted.at is not None:
        return [log.line_since(wanted.at) for log in logs]
    return [log.end if ended else log.last_newline() for log in logs]


def _back(
    logs: Sequence[LogReader], positions: Sequence[int], wanted: LogPageQuery, ended: bool
) -> tuple[list[dict[str, Any]], list[int], bool]:
    """The newest lines before these positions.

    Returns the lines in order, where they begin, and whether there are more.
    """
    del ended
    reached = list(positions)
    sources = [log.back(place) for log, place in zip(logs, positions, strict=True)]
    found: list[dict[str, Any]] = []
    budget = _Budget(wanted)
    for n, line in by_time(sources, back=True):
        if not line.hidden and (text := _shown(line.text, wanted.passes)) is not None:
            found.append(_told(line, text, wanted.spans))
        reached[n] = line.start
        budget.scanned += line.end - line.start
        if budget.is_used_up(found):
            break
    more = any(place > log.begin for log, place in zip(logs, reached, strict=True))
    return found[::-1], reached, more


def _on(
    logs: Sequence[LogReader], positions: Sequence[int], wanted: LogPageQuery, ended: bool
) -> tuple[list[dict[str, Any]], list[int], bool]:
    """The oldest lines from these positions on.

    Returns the lines, where they end, and whether there are more.
    """
    reached = list(positions)
    for log, place in zip(logs, positions, strict=True):
        log.skip_to(place)
    sources = [log.lines(last=ended, end_at=log.end) for log in logs]
    found: list[dict[str, Any]] = []
    budget = _Budget(wanted)
    for n, line in by_time(sources):
        if budget.is_used_up(found):
            return found, reached, True
        if not line.hidden and (text := _shown(line.text, wanted.passes)) is not None:
            found.append(_told(line, text, wanted.spans))
        reached[n] = line.end
        budget.scanned += line.end - line.start
    return found, reached, False


class _Budget:
    """The maximum cost of a page.

    At least one line is examined, so that pages make progress.
    """

    def __init__(self, wanted: LogPageQuery) -> None:
        self._lines = min(MOST_LINES, max(1, wanted.lines))
        self._end = time.monotonic() + SCAN_S
        self.scanned = 0

    def is_used_up(self, found: Sequence[object]) -> bool:
        """Whether the page has to end here."""
        if self.scanned > SCAN_BYTES or len(found) >= self._lines:
            return True
        return self.scanned > 0 and time.monotonic() > self._end


def _shown(line: str, passes: Passes | None) -> str | None:
    """A line as people see it, without colours. None if it is not wanted.

    Overwritten text is not shown.

    Of a very long line only the beginning is looked at and shown.
    """
    text = _PLAIN.foreign(line[:_LONGEST_SHOWN])
    if passes is not None and not passes(text):
        return None
    if len(line) <= _LONGEST_SHOWN:
        return text
    return f"{text}… ({len(line.encode('utf-8', 'replace')):,} bytes)"


def _told(line: LogLine, text: str, spans: Spans | None) -> dict[str, Any]:
    told = {"time": line.time, "task": name_of(line.task), "stream": line.stream, "text": text}
    return told if spans is None else told | {"marks": _utf16(text, spans(text))}


def _utf16(text: str, spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Spans of characters as a browser counts them.

    It has two units for some characters.
    """
    if text.isascii():
        return [list(span) for span in spans]
    return [[len(text[:place].encode("utf-16-le")) // 2 for place in span] for span in spans]


def _cursor(logs: Sequence[LogReader], positions: Sequence[int], wanted: LogPageQuery) -> str:
    places = {_key(log): place for log, place in zip(logs, positions, strict=True) if place}
    return json.dumps([_selection(wanted), places], separators=(",", ":"))


def _key(log: LogReader) -> str:
    return f"{log.task} {log.stream[3]}"


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
    """The log of an existing task and stream, or None."""
    if stream not in STREAMS or label not in task_labels(run):
        return None
    return look(run.task(label), stream)
