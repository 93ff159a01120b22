"""The state of a run, from its directory alone: what `ps` shows.

During the run, after it, and when half of the files are missing. What a dead supervisor left
behind as running is shown for what it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from tenfold.base.naming import label_of, name_of
from tenfold.run import files
from tenfold.run.jsonfiles import Problems
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.run.states import LIVE, TERMINAL, State
from tenfold.run.statusfiles import (
    DeathStatus,
    FirstFailureStatus,
    HangStatus,
    OddFigure,
    ResumedFrom,
    RunStatus,
    TaskStatus,
)
from tenfold.run.unready import UnreadyTask
from tenfold.views.knownfiles import KnownFiles

_LONGEST_TOKEN = 1000


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as `ps` shows it. Times are seconds since 1970.

    Attributes:
        pid: its process on its host, while there is one and it is said.
        url: the first of `urls`, with its token.
        waits: why it is starting and not ready, or None.
    """

    task: str
    job: str
    index: int
    state: str = State.WAITING
    address: str | None = None
    host: str | None = None
    pid: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None
    cause: str | None = None
    url: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    started: float | None = None
    ready: float | None = None
    ended: float | None = None
    waits: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as `ps` shows it. Times are seconds since 1970.

    Attributes:
        age_s: how old the newest word of the supervisor is. None once the run is over.
        seen: when the supervisor wrote last.
        damaged: what is wrong, by the path of the file.
    """

    cluster: str
    run: str
    directory: Path
    cell: str | None = None
    state: str | None = None
    outcome: str | None = None
    reason: str | None = None
    started: float | None = None
    ended: float | None = None
    age_s: float | None = None
    seen: float | None = None
    protection: str | None = None
    protection_words: str | None = None
    resumed_from: ResumedFrom | None = None
    hang: HangStatus | None = None
    not_finite: tuple[OddFigure, ...] = ()
    first_failure: FirstFailureStatus | None = None
    consequences: tuple[DeathStatus, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_failed(self) -> str | None:
        """The name of the task that failed first."""
        return self.first_failure.death.task if self.first_failure else None

    def head(self) -> dict[str, Any]:
        """The shape of `ps --json` without tasks."""
        return {
            "version": 1,
            **{name: getattr(self, name) for name in self.__slots__},
            "directory": str(self.directory),
            "resumed_from": self.resumed_from and self.resumed_from.to_json(),
            "hang": self.hang and self.hang.to_json(),
            "not_finite": [figure.to_json() for figure in self.not_finite],
            "first_failure": self.first_failure and self.first_failure.to_json(),
            "consequences": [death.to_json() for death in self.consequences],
            "tasks": [],
            "damaged": dict(self.damaged),
        }

    def to_json(self) -> dict[str, Any]:
        """The shape of `ps --json`."""
        return self.head() | {"tasks": [task.to_json() for task in self.tasks]}


def status(run: RunDirectory, problems: Problems | None = None) -> RunView:
    """The state of a run now.

    Damaged files are noted in `problems` and shown as what is not said.
    """
    return StatusReader(run).read(problems)


class _Planned(NamedTuple):
    """What is needed of plan.json. `tasks` are names, or None without a plan."""

    cluster: str | None = None
    cell: str | None = None
    tasks: tuple[str, ...] | None = None


class StatusReader:
    """Reads the state of one run repeatedly.

    A file that did not change is not read again.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._files = KnownFiles()

    def read(self, problems: Problems | None = None) -> RunView:
        """The result of `status`, now."""
        run, problems = self._run, problems if problems is not None else Problems()
        alive = run.alive()  # first: a supervisor that ends after this has written its last word
        plan = self._files.read(run.plan, problems, _planned)
        said = self._files.read(run.status, problems, RunStatus.read) or RunStatus()
        lost = not alive and said.state not in TERMINAL
        return RunView(
            cluster=said.cluster or plan.cluster or run.cluster,
            run=run.run,
            directory=run.path,
            cell=said.cell or plan.cell,
            state=State.FAILED if lost else said.state,
            outcome=said.outcome,
            reason=_lost_words(said) if lost else said.reason,
            started=said.started,
            ended=said.ended,
            age_s=_age(said) if alive else None,
            seen=said.updated,
            protection=said.protection,
            protection_words=said.protection_words,
            resumed_from=said.resumed_from,
            hang=said.hang,
            not_finite=said.not_finite,
            first_failure=said.first_failure,
            consequences=said.consequences,
            tasks=tuple(
                self._task(directory, name, problems, lost)
                for directory, name in self._tasks(plan, problems)
            ),
            damaged={str(path): what for path, what in problems.found.items()},
        )

    def _tasks(self, plan: _Planned, problems: Problems) -> Iterator[tuple[TaskDirectory, str]]:
        """The tasks' directories and names in the plan's order.

        Without a plan, those that have left something.
        """
        if plan.tasks is not None:
            yield from ((self._run.task(label_of(name)), name) for name in plan.tasks)
            return
        for directory in self._run.tasks():
            said = self._files.read(directory.status, problems, TaskStatus.read)
            yield directory, (said and said.task) or name_of(directory.label)

    def _task(
        self, directory: TaskDirectory, name: str, problems: Problems, lost: bool
    ) -> TaskView:
        read = self._files.read(directory.status, problems, TaskStatus.read)
        said = read or TaskStatus()
        job, _, index = name.rpartition("/")
        state, pid = said.state or State.WAITING, said.pid
        if lost and state in LIVE | {State.RESTARTING}:
            state, pid = State.LOST, None
        waits = None
        if state == State.STARTING:
            waits = self._files.read(directory.unready, Problems(), _waits)
        return TaskView(
            task=name, job=job, index=int(index), state=state, address=said.address,
            host=said.host, pid=pid, restarts=said.restarts or 0, exit_code=said.exit_code,
            signal=said.signal, reason=said.reason, cause=said.cause,
            url=said.url and _with_token(said.url, directory),
            urls={port: _with_token(url, directory) for port, url in said.urls.items()},
            started=said.started, ready=said.ready, ended=said.ended, waits=waits,
        )  # fmt: skip


def _planned(path: Path, problems: Problems) -> _Planned:
    plan = PlanFile.of(path, problems)
    names = None if plan.tasks is None else tuple(task.task for task in plan.tasks)
    return _Planned(plan.cluster, plan.cell, names)


def _waits(path: Path, problems: Problems) -> str | None:
    said = UnreadyTask.read(path, problems)
    return said.shown if said else None


def _age(said: RunStatus) -> float | None:
    return None if said.updated is None else max(0.0, round(time.time() - said.updated, 3))


def _lost_words(said: RunStatus) -> str:
    if said == RunStatus():
        return "the supervisor ended before it wrote its status"
    return "the supervisor is gone, probably killed"


def _with_token(url: str, directory: TaskDirectory) -> str:
    try:
        token = files.read_whole(directory.token, _LONGEST_TOKEN).decode("ascii").strip()
        return f"{url}?token={quote(token)}"
    except (OSError, ValueError):
        return url
