"""Find figures that are not finite in the tasks' progress and event files.

Owns reading them out of the tasks' progress, and which of them are news. A task notes by itself
since which step a figure of `tenfold.progress` is not finite (`tasks.member`), so that no step is
missed here. Of a task that reports none, the figures of its progress bar count
(`tasks.barwatch`). What tasks write for TensorBoard is read by `scalars`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.run.rundir import RunDirectory, read_json
from tenfold.supervise.scalars import ScalarWatch

EVERY_S = 1.0
_MOST = 20
_LONGEST = 80

Odd = dict[str, Any]
"""`{task, figure, value, since, until, unit}`.

`since` and `until` are steps. `until` is None while the figure is not finite.

Of a scalar in an event file, `task` is None, and `directory` says where the file lies, relative to
the run directory: `tensorboard/train` for example.
"""


class FigureWatch:
    """Checks the progress of a run's tasks repeatedly."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._scalars = ScalarWatch(run.path, run.shared("tensorboard"))
        self._marks: dict[str, Hashable] = {}
        self._found: dict[tuple[str, str], Odd] = {}  # by task or directory, and figure
        self._next = 0.0

    @property
    def found(self) -> list[Odd]:
        """All figures found, in the order in which they were found."""
        return list(self._found.values())

    def due(self, now: float) -> bool:
        """Whether it is time to check all tasks, at most once a second."""
        due = now >= self._next
        self._next = now + EVERY_S if due else self._next
        return due

    def look(self, tasks: Iterable[str]) -> list[Odd]:
        """Figures that are new, or finite again, since the last look."""
        news = [odd for task in tasks for odd in self._look_at(task)]
        return news + self._look_at_event_files()

    def _look_at_event_files(self) -> list[Odd]:
        """New scalars that are not finite, without those that a progress file reports."""
        told = {odd["figure"] for odd in self._found.values() if odd["task"] is not None}
        by_directory: dict[str, list[Odd]] = {}
        for scalar in self._scalars.look():
            if scalar.tag not in told:
                odd: Odd = {
                    "task": None,
                    "directory": scalar.directory[:_LONGEST],
                    "figure": scalar.tag[:_LONGEST],
                    "value": scalar.value,
                    "since": scalar.since,
                    "until": scalar.until,
                    "unit": "steps",
                }
                by_directory.setdefault(odd["directory"], []).append(odd)
        known = {odd["directory"] for odd in self._found.values() if odd["task"] is None}
        return [
            odd
            for directory in sorted(known | by_directory.keys())
            for odd in self._news(directory, by_directory.get(directory, [])[:_MOST])
        ]

    def _look_at(self, task: str) -> list[Odd]:
        directory = self._run.task(label_of(task))
        path = directory.progress
        mark = _mark(path)
        if mark is None:
            path = directory.bar
            mark = _mark(path)
        if mark is None or mark == self._marks.get(task):
            return []
        self._marks[task] = mark
        return self._news(task, list(not_finite(task, read_json(path))))

    def _news(self, source: str, told: list[Odd]) -> list[Odd]:
        """Store all that is known of a task or a directory. Returns what is new."""
        news = []
        for key in [key for key in self._found if key[0] == source]:
            if all(odd["figure"] != key[1] for odd in told):
                del self._found[key]  # of a former life
        for odd in told:
            key = source, odd["figure"]
            before = self._found.get(key)
            if before is None and len(self._found) >= _MOST * _MOST:
                continue
            if before is None or before["until"] != odd["until"]:
                news.append(odd)
            self._found[key] = odd
        return news


def not_finite(task: str, said: Mapping[str, Any] | None) -> Iterator[Odd]:
    """Figures that are or were not finite, from the progress file of a task.

    Anybody can have written the file.
    """
    told = said.get("not_finite") if said else None
    if said is None or not isinstance(told, dict):
        return
    for figure, one in list(told.items())[:_MOST]:
        if isinstance(one, dict) and _is_step(one.get("since")):
            until = one.get("until")
            yield {
                "task": task,
                "figure": figure[:_LONGEST],
                "value": str(one.get("value"))[:_LONGEST],
                "since": one["since"],
                "until": until if _is_step(until) else None,
                "unit": str(said.get("unit") or "steps")[:_LONGEST],
            }


def _is_step(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _mark(path: Path) -> Hashable:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
