"""Read lines of task output with their times.

Lines can be read forward, backward, from the end, or from a point in time on.

Reads only the run directory, in bounded pieces, during the run and after it. How lines are shown
is a view's business.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from tenfold.run.logs.files import (
    LONGEST_LINE_BYTES,
    PIECE_BYTES,
    LogFiles,
    dropped_words,
    hole_words,
    lines_before,
    look,
)
from tenfold.run.logs.overwriting import (
    LOOK_AHEAD,
    are_hidden_by,
    ends_above,
    is_blank,
    is_overwritten,
    looks_finished,
    may_be,
    rows_up,
    visible,
    visible_span,
)
from tenfold.run.logs.times import StreamTimes
from tenfold.run.rundir import TaskDirectory

STREAMS = ("stdout", "stderr")
_HOLE_BYTES = 1 << 13
_LINE_END = re.compile(rb"\r?\n|\r+")
_KEPT_BYTES = 1 << 12
_SHOWN_BYTES = 1 << 14
_HELD_S = 1.0
"""For how long a line of a bar waits for the move that writes over it."""


class LogLine(NamedTuple):
    """One line of a task's output, without its newline.

    Bytes that are not UTF-8 are replaced.

    `time` (seconds since 1970) is when the supervisor got the piece the line begins in. Of a line
    that was written over, as progress bars are, `text` is what was left, and `time` is when that
    began. `start` and `end` are offsets in the stream; they are equal for words of tenfold's own.

    `hidden`: nothing of the line was left. Only `lines` and `back` yield such lines.
    """

    time: float
    task: str
    stream: str
    text: str
    start: int = 0
    end: int = 0
    hidden: bool = False


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
        self, directory: TaskDirectory, stream: str, piece_bytes: int = PIECE_BYTES
    ) -> None:
        self.task = directory.label
        self.stream = stream
        self.position = 0
        self._directory = directory
        self._files = look(directory, stream)
        self._times = StreamTimes(directory, stream, self._files.turn)
        self._piece_bytes = piece_bytes
        self._rest = b""
        """Lines that were read and are not finished. They end at `position`."""
        self._above: list[str] = []
        """What hidden lines right above show, which the program may write over again."""
        self._moving = 0
        """For how many lines the program is still expected to move the cursor up."""

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
        while position > files.dropped and files.end - position < LONGEST_LINE_BYTES:
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
        last = min(files.end, offset + LONGEST_LINE_BYTES)
        for begin in range(offset, last, PIECE_BYTES):
            if found := _LINE_END.search(files.read(begin, PIECE_BYTES)):
                return begin + found.end()
        return last

    def seek_time(self, moment: float) -> None:
        """Skip the lines written before `moment`."""
        self.skip_to(self.line_since(moment))

    def skip_to(self, offset: int | None) -> None:
        """Skip forward to byte `offset`, where a line begins, or to the end."""
        wanted = self.size() if offset is None else offset
        if wanted > self.position:
            self.position, self._rest, self._above = wanted, b"", []

    @property
    def is_in_line(self) -> bool:
        """Whether lines were read that are not finished yet."""
        return bool(self._rest)

    def written(self) -> float:
        """When the last byte that was read was written, or 0 if this was not recorded."""
        return self._times.of(self.position - 1) if self.position else 0.0

    def open_rows(self) -> list[str]:
        """What the lines show that are not finished yet, the newest last.

        This is the newest text of a progress bar, and of the bars above it.
        """
        if not self._rest:
            return []
        lines = self._rest[-_SHOWN_BYTES:].split(b"\n")
        ups = [*map(rows_up, lines)]
        texts = [
            visible(line)
            for number, line in enumerate(lines)
            if not are_hidden_by(ups[number + 1 : number + 1 + LOOK_AHEAD])
        ]
        rows = [text.decode(errors="replace") for text in texts if not is_blank(text)]
        return [*self._above, *rows][-LOOK_AHEAD:]

    # Forward

    def read(self, *, last: bool = False, end_at: int | None = None) -> list[LogLine]:
        """Read new whole lines, at most a few thousand.

        With `last`, an unfinished last line is returned too.

        An empty answer means that there is nothing more for now, before byte `end_at`.
        """
        while (found := self._next_lines(last, end_at)) is not None:
            if lines := [line for line in found if not line.hidden]:
                return lines
        return []

    def lines(self, *, last: bool = False, end_at: int | None = None) -> Iterator[LogLine]:
        """All new lines, one by one, as `read` returns them, and the hidden ones."""
        while (piece := self._next_lines(last, end_at)) is not None:
            yield from piece

    def _next_lines(self, last: bool, end_at: int | None) -> Iterator[LogLine] | None:
        """The lines of the next piece. None if there are none."""
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
            if (last and not data) or (end == 0 and len(text) > LONGEST_LINE_BYTES):
                end = len(text)
            if self._moving or may_be(text):
                if rows := self._rows(text, end, start, last):
                    return iter(rows)
            else:
                self._rest = text[end:]
                if end:
                    self._above = []
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

    def _rows(self, text: bytes, end: int, start: int, last: bool) -> list[LogLine]:
        """The lines of `text` up to `end` that are settled. The rest is kept.

        `text` begins at byte `start`, and has lines that were written over.
        """
        lines = text[:end].removesuffix(b"\n").split(b"\n") if end else []
        ups = [*map(rows_up, lines), rows_up(text[end:])]
        rows: list[LogLine] = []
        at = 0
        for number, line in enumerate(lines):
            below = ups[number + 1 : number + 1 + LOOK_AHEAD]
            to = min(at + len(line) + 1, end)
            hidden = are_hidden_by(below) or (ends_above(line) and to < len(text))
            if not (hidden or last or len(below) == LOOK_AHEAD) and self._waits(line, start + to):
                break
            if last and to == len(text) == at + len(line):
                rows += self._rows_above(start + at)
            rows.append(self._row(line, start + at, start + to, hidden))
            self._moving = LOOK_AHEAD if ups[number] else max(0, self._moving - 1)
            at = to
        self._rest = text[at:]
        rows += self._forget_overwritten(start + at)
        return rows

    def _rows_above(self, at: int) -> list[LogLine]:
        """What stays above the last line of a log that ends with a bar."""
        moment, above = self._times.of(at), self._above
        return [LogLine(moment, self.task, self.stream, text, at, at) for text in above]

    def _waits(self, line: bytes, end: int) -> bool:
        """Whether the program may soon write over a line, which ends at byte `end`."""
        if ends_above(line):
            return True  # whatever comes next writes over it
        if self._moving:
            held_s = _HELD_S
        elif is_overwritten(line) and not looks_finished(line):
            held_s = _HELD_S / 4  # a bar in a bar begins at once
        else:
            return False
        return 0 <= time.time() - self._times.of(end - 1) < held_s

    def _row(self, line: bytes, start: int, end: int, hidden: bool) -> LogLine:
        begin, text = visible_span(line)[0], visible(line)
        shown = text.decode(errors="replace")
        blank = is_blank(text)
        if not hidden:
            self._above = []
        elif not ends_above(line) and not blank:
            kept = [] if rows_up(line) else self._above
            self._above = [*kept, shown][-LOOK_AHEAD:]
        hidden = hidden or (blank and is_overwritten(line))
        moment = self._times.of(start + begin)
        return LogLine(moment, self.task, self.stream, shown, start, end, hidden)

    def _forget_overwritten(self, start: int) -> list[LogLine]:
        """Forget what was written over in an unfinished line, which begins at `start`.

        A bar that moves for days stays small, and nobody reads all of it again.
        """
        if len(self._rest) < _KEPT_BYTES or b"\n" in self._rest:
            return []
        begin = visible_span(self._rest)[0]
        if not begin:
            return []
        self._rest = self._rest[begin:]
        moment = self._times.of(start)
        return [LogLine(moment, self.task, self.stream, "", start, start + begin, hidden=True)]

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
        below = self._ups_below(position)
        for start, end, data in lines_before(files, position, self._piece_bytes):
            line = data.removesuffix(b"\n")
            if any(below) or may_be(line):
                yield self._row_before(line, start, end, below)
                below.appendleft(rows_up(line))
            else:
                below.appendleft(0)
                yield LogLine(times.of(start), self.task, self.stream, _shown(line), start, end)
        if files.dropped:
            words = dropped_words(files.dropped)
            place = files.dropped
            yield LogLine(times.of(place), self.task, self.stream, words, place, place)

    def _ups_below(self, position: int) -> deque[int]:
        """By how many rows the lines from `position` on move the cursor up."""
        lines = self._files.read(position, _SHOWN_BYTES).split(b"\n")[:LOOK_AHEAD]
        return deque(map(rows_up, lines), LOOK_AHEAD)

    def _row_before(self, line: bytes, start: int, end: int, below: deque[int]) -> LogLine:
        begin, text = visible_span(line)[0], visible(line)
        hidden = are_hidden_by([*below]) or (ends_above(line) and end < self._files.end)
        hidden = hidden or (is_overwritten(line) and is_blank(text))
        moment, shown = self._times.of(start + begin), text.decode(errors="replace")
        return LogLine(moment, self.task, self.stream, shown, start, end, hidden)

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
    """The text of a line that was not written over."""
    return line.decode(errors="replace")
