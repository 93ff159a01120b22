"""A run as a page shows it: its status, and its tasks' usage and progress.

Read repeatedly: a file that did not change is not read again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.run import files
from tenfold.run.annotations import Annotations
from tenfold.run.barfile import BarFile
from tenfold.run.jsonfiles import Problems
from tenfold.run.planfile import PlanFile
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.run.states import LIVE, TERMINAL
from tenfold.views import notfinite
from tenfold.views.headline import HeadlineReader
from tenfold.views.knownfiles import KnownFiles
from tenfold.views.status import RunView, StatusReader, TaskView
from tenfold.views.usage import TaskUsage, UsageReader

_MOST_DAMAGED = 100
_MOST_FIGURES = 50
_MANY, _MANY_S = 50, 1.8
"""Of more tasks than this, usage and progress are read every other second."""


@dataclass(frozen=True, slots=True)
class LiveTask:
    """A task, what it uses, and how far it is.

    Attributes:
        cpu: cores, over the last seconds; `memory` in bytes. None if it was not sampled lately.
        cpu_s: seconds of all its lives.
        progress: what it last reported in its present or last life, or what its progress bar says,
            or None. Only a bar may have no total.
    """

    view: TaskView
    cpu: float | None = None
    memory: float | None = None
    cpu_s: float | None = None
    progress: Progress | None = None

    def to_json(self) -> dict[str, Any]:
        """The shape of one of `tasks` in GET RUN."""
        used = {name: getattr(self, name) for name in ("cpu", "memory", "cpu_s")}
        return self.view.to_json() | used | {"progress": self._progress()}

    def _progress(self) -> dict[str, Any] | None:
        """`{done, total, unit, rate, figures, time}`."""
        if self.progress is None:
            return None
        names = ("done", "total", "unit", "rate", "figures", "time")
        figures = dict(list(self.progress.figures.items())[:_MOST_FIGURES])
        return {name: getattr(self.progress, name) for name in names} | {"figures": figures}


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run as a page shows it.

    Attributes:
        warning: what to show above every view of a run that has not failed, or None.
        headline: the first line of `why` if it failed.
    """

    status: RunView
    alive: bool
    framework: str | None = None
    warning: str | None = None
    headline: str | None = None
    tasks: tuple[LiveTask, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return not self.alive and self.status.state in TERMINAL

    @property
    def end(self) -> float | None:
        """When it ended, as far as that is known, or its newest sign of life."""
        return self.status.ended or self.status.seen

    def head(self) -> dict[str, Any]:
        """The shape of GET RUN without tasks."""
        names = ("alive", "framework", "warning", "headline")
        more = {name: getattr(self, name) for name in names}
        return self.status.head() | more | {"damaged": dict(self.damaged)}

    def to_json(self) -> dict[str, Any]:
        """The shape of GET RUN."""
        return self.head() | {"tasks": [task.to_json() for task in self.tasks]}


class LiveReader:
    """Everything a page shows of one run and its tasks. For one thread at a time."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._status = StatusReader(run)
        self._usage = UsageReader(run)
        self._headline = HeadlineReader(run)
        self._files = KnownFiles()
        self._told: dict[str, TaskDirectory] = {}
        self.last: tuple[float, LiveRun | None] = (0.0, None)
        """The newest answer and its time by the monotonic clock."""
        self._known: dict[str, tuple[TaskUsage | None, Progress | None]] = {}
        self._due = 0.0

    def read(self) -> LiveRun:
        """The state of the run now.

        This returns whatever the files contain. Damaged ones are listed in `damaged`.
        """
        problems = Problems()
        run = self._status.read(problems)
        self._read_known(run.tasks, problems)
        tasks = tuple(self._task(task) for task in run.tasks)
        framework = self._files.read(self._run.plan, problems, _framework)
        damaged = {str(path): what for path, what in problems.found.items()}
        now = LiveRun(
            status=run,
            alive=run.age_s is not None or self._run.alive(),
            framework=framework,
            warning=_warning(run),
            headline=self._headline.read(run),
            tasks=tasks,
            damaged=dict(list({**run.damaged, **damaged}.items())[:_MOST_DAMAGED]),
        )
        self.last = (time.monotonic(), now)
        return now

    def _read_known(self, tasks: Sequence[TaskView], problems: Problems) -> None:
        """Read usage and progress of all tasks. Of many tasks they are read less often."""
        moment = time.monotonic()
        if moment < self._due and all(task.task in self._known for task in tasks):
            return
        self._due = moment + (_MANY_S if len(tasks) > _MANY else 0.0)
        used = self._read_usage([task.task for task in tasks], problems)
        self._known = {
            task.task: (used.get(task.task), self._progress(task, problems)) for task in tasks
        }

    def _read_usage(self, tasks: list[str], problems: Problems) -> Mapping[str, TaskUsage]:
        try:
            return self._usage.read(tasks)
        except (TypeError, ValueError, AttributeError, KeyError, OSError) as error:
            problems.add(self._run.path / "tasks", f"usage cannot be shown: {error}")
            return {}

    def _task(self, task: TaskView) -> LiveTask:
        used, progress = self._known.get(task.task, (None, None))
        live = used if task.state in LIVE else None
        return LiveTask(
            view=task,
            cpu=live.cpu if live else None,
            memory=live.memory if live else None,
            cpu_s=used.cpu_s if used else None,
            progress=progress,
        )

    def _progress(self, task: TaskView, problems: Problems) -> Progress | None:
        """The progress of the task in its present life, or in its last one.

        It is what the task reported, or else what its progress bar says.
        """
        directory = self._told.get(task.task)
        if directory is None:
            directory = self._told[task.task] = self._run.task(label_of(task.task))
        began = (task.started or 0.0) if task.state in LIVE else 0.0
        said = self._files.read(directory.progress, problems, Progress.read)
        if said is not None and said.share is not None and (said.time or 0.0) >= began:
            return said
        bar = self._files.read(directory.bar, problems, BarFile.read)
        shown = bar.shown if bar is not None else None
        return shown if shown is not None and (shown.time or 0.0) >= began else None


def _framework(path: Path, problems: Problems) -> str | None:
    return PlanFile.of(path, problems).framework


def _warning(run: RunView) -> str | None:
    """A warning to show above every view of a run that has not failed."""
    for task in run.tasks:
        if task.waits:
            return f"waiting for {task.task}: {task.waits}"
    return notfinite.words(run.not_finite)


@dataclass(frozen=True, slots=True)
class RunBrief:
    """A run in a line, for a list of runs. `states`: how many tasks are in each state."""

    run: LiveRun
    states: Mapping[str, int]
    annotations: Annotations = field(default_factory=Annotations)

    def to_json(self) -> dict[str, Any]:
        """`{cluster, run, cell, state, reason, …, tasks: {STATE: N}}`."""
        shown = self.run.head()
        told = {name: shown[name] for name in _BRIEF} | {"tasks": dict(self.states)}
        return told | self.annotations.shown()


_BRIEF = (
    "cluster", "run", "cell", "state", "reason", "started", "ended", "seen", "alive", "framework",
    "headline",
)  # fmt: skip


def brief(now: LiveRun) -> RunBrief:
    """A run in a line. It does not keep the tasks."""
    states = Counter(str(task.view.state) for task in now.tasks)
    return RunBrief(replace(now, status=replace(now.status, tasks=()), tasks=()), states)


class BriefReader:
    """Summaries of many runs. A run that is over is read once."""

    def __init__(self) -> None:
        self._over: dict[Path, tuple[object, RunBrief]] = {}

    def read(self, run: RunDirectory) -> RunBrief:
        """`brief` of a run now."""
        mark = (files.mark(run.status), files.mark(run.annotations))
        known = self._over.get(run.path)
        if known is not None and known[0] == mark:
            return known[1]
        told = replace(brief(LiveReader(run).read()), annotations=Annotations.read_of(run))
        if told.run.over and not told.run.damaged:
            self._over[run.path] = (mark, told)
        return told

    def forget_but(self, runs: list[RunDirectory]) -> None:
        """Forget runs that no longer exist."""
        there = {run.path for run in runs}
        self._over = {path: known for path, known in self._over.items() if path in there}
