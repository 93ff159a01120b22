"""Log lines on a terminal: prefixes in the tasks' colours, and folding.

The same line from many tasks is shown once, and how many more said it (`×8`): in its place while
it is on the screen, otherwise soon after. Only what is shown at that moment is folded, never what
is in the files. Times and memory addresses in
a line do not make it another one; any other number does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tenfold.base.json_text import json_text
from tenfold.base.naming import name_of
from tenfold.run.logs import LogLine
from tenfold.views.terminal import Terminal, task_colour

FOLD_S = 2.0
_VARYING = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,:\d]*"  # a date and time
    r"|\b[IWEF]\d{4} \d\d:\d\d:\d\d[.\d]*\s+\d+"  # glog: severity, date, time and thread
    r"|\b\d{10}\.\d+"  # seconds since 1970
    r"|0x[0-9a-fA-F]+"
)


@dataclass(frozen=True, slots=True)
class Style:
    """How lines are shown.

    `width` is that of the longest prefix. `as_json` takes precedence over all others.
    """

    as_json: bool = False
    prefix: bool = True
    timestamps: bool = False
    width: int = 0


def render(out: Terminal, line: LogLine, style: Style) -> str:
    """One line as `docker compose logs` shows it: `worker-3  | text`."""
    if style.as_json:
        said = {"time": round(line.time, 3), "task": name_of(line.task)}
        return json_text(said | {"stream": line.stream, "text": line.text})
    text = out.foreign(line.text)
    if style.timestamps:
        moment = datetime.fromtimestamp(line.time).astimezone()
        text = f"{out.paint(moment.isoformat(timespec='milliseconds'), 'dim')} {text}"
    if not style.prefix:
        return text
    return out.paint(f"{line.task:<{style.width}} | ", task_colour(line.task)) + text


@dataclass(slots=True)
class _Fold:
    until: float
    first: LogLine
    others: list[str] = field(default_factory=list)
    shown: int = 0
    """How many of the others are on the screen, in the place of the first line."""


class Folder:
    """Folds equal lines of different tasks.

    Only lines that come within `FOLD_S` seconds of each other are folded.
    """

    def __init__(self) -> None:
        self._folds: dict[str, _Fold] = {}

    def feed(self, lines: Iterable[LogLine], now: float) -> Iterator[LogLine]:
        """The lines to show now, including lines that state how often one came."""
        for line in lines:
            key = _VARYING.sub("#", line.text).strip()
            fold = self._folds.get(key)
            if fold is not None and line.task not in (fold.first.task, *fold.others):
                fold.others.append(line.task)
                continue
            if key and fold is None:
                self._folds[key] = _Fold(now + FOLD_S, line)
            yield line
        yield from self.flush(now)

    def flush(self, now: float | None = None) -> Iterator[LogLine]:
        """Lines that were folded long enough ago. All of them without `now`."""
        for key, fold in list(self._folds.items()):
            if now is None or fold.until <= now:
                del self._folds[key]
                if len(fold.others) > fold.shown:
                    yield _summary(fold)

    def rewrite(self, rewritten: Callable[[LogLine, str], bool]) -> None:
        """Have lines rewritten that more tasks have said since.

        `rewritten` gets a line, and how often it came in words, and returns whether it is shown.
        """
        for fold in self._folds.values():
            if len(fold.others) > fold.shown and rewritten(fold.first, _often(fold)):
                fold.shown = len(fold.others)


def _summary(fold: _Fold) -> LogLine:
    text = f"{fold.first.text}  {_often(fold)}"
    return LogLine(fold.first.time, fold.first.task, fold.first.stream, text)


def _often(fold: _Fold) -> str:
    """How often a line came: `×8 (worker-1, worker-2, 5 more too)`."""
    return f"×{len(fold.others) + 1} ({', '.join(_few(fold.others))} too)"


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"]
