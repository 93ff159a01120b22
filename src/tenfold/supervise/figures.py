"""Find figures that are not finite in the tasks' progress and event files.

Owns reading them out of the tasks' progress, and which of them are news. A task notes by itself
since which step a figure of `tenfold.progress` is not finite (`tasks.member`), so that no step is
missed here. Of a task that reports none, the figures of its progress bar count
(`tasks.barwatch`). What tasks write for TensorBoard is read by `scalars`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path

from tenfold.base.naming import label_of
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory
from tenfold.run.statusfiles import OddFigure
from tenfold.supervise.scalars import ScalarWatch

EVERY_S = 1.0
_MOST = 20
_LONGEST = 80


class FigureWatch:
    """Checks the progress of a run's tasks repeatedly."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._scalars = ScalarWatch(run.path, run.shared("tensorboard"))
        self._marks: dict[str, Hashable] = {}
        self._found: dict[tuple[str, str], OddFigure] = {}  # by task or directory, and figure
        self._next = 0.0

    @property
    def found(self) -> list[OddFigure]:
        """All figures found, in the order in which they were found."""
        return list(self._found.values())

    def due(self, now: float) -> bool:
        """Whether it is time to check all tasks, at most once a second."""
        due = now >= self._next
        self._next = now + EVERY_S if due else self._next
        return due

    def look(self, tasks: Iterable[str]) -> list[OddFigure]:
        """Figures that are new, or finite again, since the last look."""
        news = [odd for task in tasks for odd in self._look_at(task)]
        return news + self._look_at_event_files()

    def _look_at_event_files(self) -> list[OddFigure]:
        """New scalars that are not finite, without those that a progress file reports."""
        told = {odd.figure for odd in self._found.values() if odd.task is not None}
        by_directory: dict[str, list[OddFigure]] = {}
        for scalar in self._scalars.look():
            if scalar.tag not in told:
                directory = scalar.directory[:_LONGEST]
                odd = OddFigure(
                    task=None,
                    figure=scalar.tag[:_LONGEST],
                    value=scalar.value,
                    since=scalar.since,
                    until=scalar.until,
                    directory=directory,
                )
                by_directory.setdefault(directory, []).append(odd)
        known = {odd.source for odd in self._found.values() if odd.task is None}
        return [
            odd
            for directory in sorted(known | by_directory.keys())
            for odd in self._news(directory, by_directory.get(directory, [])[:_MOST])
        ]

    def _look_at(self, task: str) -> list[OddFigure]:
        directory = self._run.task(label_of(task))
        path = directory.progress
        mark = _mark(path)
        if mark is None:
            path = directory.bar
            mark = _mark(path)
        if mark is None or mark == self._marks.get(task):
            return []
        self._marks[task] = mark
        said = Progress.read(path) or Progress()  # a bar's file has the same fields, and more
        return self._news(task, list(not_finite(task, said)))

    def _news(self, source: str, told: list[OddFigure]) -> list[OddFigure]:
        """Store all that is known of a task or a directory. Returns what is new."""
        news = []
        for key in [key for key in self._found if key[0] == source]:
            if all(odd.figure != key[1] for odd in told):
                del self._found[key]  # of a former life
        for odd in told:
            key = source, odd.figure
            before = self._found.get(key)
            if before is None and len(self._found) >= _MOST * _MOST:
                continue
            if before is None or before.until != odd.until:
                news.append(odd)
            self._found[key] = odd
        return news


def not_finite(task: str, said: Progress) -> Iterator[OddFigure]:
    """Figures that are or were not finite, from the progress file of a task."""
    for figure, one in list(said.not_finite.items())[:_MOST]:
        if one.since is not None:
            yield OddFigure(
                task=task,
                figure=figure[:_LONGEST],
                value=one.value[:_LONGEST],
                since=one.since,
                until=one.until,
                unit=said.unit[:_LONGEST],
            )


def _mark(path: Path) -> Hashable:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
