"""The newest text of unfinished lines, such as progress bars, below all others.

Of many tasks the same bar is shown once, with their number (`×8`). A few rows are shown, so that
the bars of hundreds of tasks cost no more than those of a few.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence

from tenfold.base.escapes import plain
from tenfold.errors import columns
from tenfold.run.logs import LogReader
from tenfold.views.lines import Style
from tenfold.views.screen import Screen
from tenfold.views.terminal import task_colour

EVERY_S = 0.25
_MOST_ROWS = 10
_MOST_OF_ONE = 3
_LONGEST = 2000
_MOST_READ = 64
"""The maximum number of streams whose text is read: others are only counted."""

_VARYING = re.compile(r"[\d.,:?\s]+|[━─╸╺#=>█▉▊▋▌▍▎▏░▒▓-]+")


class LiveText:
    """The rows to show for the streams of a run, made anew a few times a second."""

    def __init__(self, screen: Screen, style: Style, *, fold: bool) -> None:
        self._screen = screen
        self._style = style
        self._fold = fold
        self._next = 0.0
        self._rows: list[str] = []

    def rows(self, readers: Sequence[LogReader]) -> list[str]:
        """The newest text of these readers' unfinished lines, each fit for the terminal.

        None at all where lines cannot be rewritten.
        """
        if not self._screen.moves or self._style.as_json:
            return []
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY_S
            self._rows = self._made(readers)
        return self._rows

    def _made(self, readers: Sequence[LogReader]) -> list[str]:
        unfinished = [reader for reader in readers if reader.is_in_line]
        found: dict[object, tuple[str, str, int]] = {}
        for reader in unfinished[:_MOST_READ]:
            for number, text in enumerate(_texts(reader)):
                key = (number, _VARYING.sub("", text)) if self._fold else (number, reader)
                task, first, count = found.get(key, (reader.task, text, 0))
                found[key] = task, first, count + 1
        most = max(1, min(_MOST_ROWS, self._screen.out.size[1] // 3))
        rows = [self._row(*one) for one in list(found.values())[:most]]
        tasks = {reader.task for reader in unfinished}
        shown = sum(count for _, _, count in list(found.values())[:most])
        if (left := len(tasks) - shown) > 0:
            rows.append(self._cut(f"… and {left:,} more tasks"))
        return rows

    def _row(self, task: str, text: str, count: int) -> str:
        many = f"  ×{count}" if count > 1 else ""
        prefix = f"{task:<{self._style.width}} | " if self._style.prefix else ""
        room = self._screen.err.width - columns(prefix) - columns(many) - 1
        shown = f"{fitted(text, max(1, room))}{many}"
        return self._screen.err.paint(prefix, task_colour(task)) + shown

    def _cut(self, text: str) -> str:
        return fitted(text, self._screen.err.width - 1)


def _texts(reader: LogReader) -> Iterator[str]:
    """The rows of one stream, without colours and whatever moves the cursor."""
    for row in reader.open_rows()[-_MOST_OF_ONE:]:
        row = row if len(row) <= _LONGEST else f"{row[: _LONGEST // 2]}{row[-_LONGEST // 2 :]}"
        text = plain(row).replace("\t", " ").replace("\n", " ").strip()
        if text:
            yield text


def fitted(text: str, room: int) -> str:
    """`text` in at most `room` columns.

    What is too long is left out before the last third.
    """
    if columns(text) <= room:
        return text
    end = text[len(text) - room // 3 :] if room >= 6 else ""
    while end and columns(end) > room // 3:
        end = end[1:]
    head, left = [], room - 1 - columns(end)
    for character in text:
        left -= columns(character)
        if left < 0:
            break
        head.append(character)
    return f"{''.join(head)}…{end}"
