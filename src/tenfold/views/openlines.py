"""The newest text of unfinished lines, such as progress bars, for the page.

A few at most, however many tasks there are, so that an open page costs the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tenfold.base.naming import name_of
from tenfold.run.logs import LogReader

MOST_OPEN = 12
"""The maximum number of unfinished lines that are told."""

_LATELY_S = 60.0

Shown = Callable[[str], str | None]
"""A text as people see it, or None if it is not wanted."""


def open_lines(logs: Sequence[LogReader], shown: Shown) -> dict[str, Any]:
    """`{open: [{time, task, stream, text}], open_more}` of logs.

    They were read to their end. Those written in the last minute come first. `open_more` counts the
    streams that are left out.
    """
    now = time.time()
    written = {log: log.written() for log in logs if log.is_in_line}
    chosen = sorted(written, key=lambda log: now - written[log] > _LATELY_S)
    told: list[dict[str, Any]] = []
    for number, log in enumerate(chosen):
        if len(told) >= MOST_OPEN:
            return {"open": told, "open_more": len(chosen) - number}
        told += _told(log, written[log], shown)
    return {"open": told[:MOST_OPEN], "open_more": 0}


def read_on(log: LogReader, start: int) -> None:
    """Read a log from `start`, where a line begins, to the part that is not finished."""
    log.skip_to(start)
    for _ in log.lines(end_at=log.end):
        pass


def _told(log: LogReader, moment: float, shown: Shown) -> Iterator[dict[str, Any]]:
    for row in log.open_rows():
        text = shown(row)
        if text is not None and text.strip():
            yield {"time": moment, "task": name_of(log.task), "stream": log.stream, "text": text}
