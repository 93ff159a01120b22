"""Write the status.json of a run and of each of its tasks.

Owns the values in them and when they are written; `statusfiles` has their types. A disk that takes
nothing stops nobody: what could not be written is written later.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

from tenfold.base.secrets import veiled_all
from tenfold.cells import Cell, Protection
from tenfold.debug.broken import ended_by, masked
from tenfold.run import files
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.run.statusfiles import (
    DeathStatus,
    FirstFailureStatus,
    HangStatus,
    ResumedFrom,
    RunStatus,
    TaskStatus,
)
from tenfold.supervise import failure
from tenfold.supervise.deaths import Death, signal_name
from tenfold.supervise.figures import FigureWatch
from tenfold.supervise.state import ClusterState, TaskState

HEARTBEAT_S = 1.0
_MOST_LOOKS = 100
"""The maximum number of tasks whose files are checked at one beat.

Each check costs five system calls.
"""
LAST_LINES = 20
LAST_STDERR = 5

MOST_MARKS = 100
"""The maximum number of restart times in a task's status.

No budget that ends a run is larger.
"""


class Statuses:
    """The statuses of one run.

    Attributes:
        protection: who else can reach the run, once its cell is open; None before.
        resumed: which run this one goes on from, or None.
        hosts: where each task was started.
        figures: knows which figures are not finite.
    """

    def __init__(
        self,
        run: RunDirectory,
        state: ClusterState,
        cell: Cell,
        clock: Callable[[], float],
        hosts: Mapping[str, str],
        resumed: ResumedFrom | None,
        figures: FigureWatch,
    ) -> None:
        self.protection: Protection | None = None
        self._run = run
        self._state = state
        self._cell = cell
        self._clock = clock
        self._hosts = hosts
        self._resumed = resumed
        self._figures = figures
        self._began = clock()
        self._host = socket.gethostname()
        self._written: dict[str, tuple[object, ...]] = {}
        self._placed: set[str] = set()
        self._unwritten = 0
        """The index of the task with which writing continues."""
        self._told: object = None
        self._beat = self._looked = 0.0
        self._turn = 0
        """The index of the task with which checking continues."""

    def write(self, at_most_s: float) -> bool:
        """Write what has changed, and a sign of life once a second.

        Of the tasks, as many as `at_most_s` allows; gives whether some are left for the next time.
        """
        changed, left = self._write_tasks(time.monotonic() + at_most_s)
        now = self._clock()
        told = (self._state.phase, self._state.outcome, self._state.hang)
        changed, self._told = changed or told != self._told, told
        if changed or now - self._beat >= HEARTBEAT_S or self._state.phase.is_terminal:
            self._beat = now
            if now - self._looked >= HEARTBEAT_S or self._state.phase.is_terminal:
                self._looked = now
                self._look_again(all_of_them=self._state.phase.is_terminal)
            with contextlib.suppress(OSError):  # a full disk: told again at the next beat
                self._run_status(now).write(self._run.status)
        return left

    def look_again(self) -> None:
        """Write removed files again, at the next time."""
        self._look_again(all_of_them=True)

    def _look_again(self, *, all_of_them: bool) -> None:
        """Check for removed files.

        If there are very many tasks, some are checked now, and others a second later.
        """
        names = list(self._written)
        some = names if all_of_them else names[self._turn : self._turn + _MOST_LOOKS]
        self._turn = self._turn + _MOST_LOOKS if self._turn + _MOST_LOOKS < len(names) else 0
        for name in some:
            if not files.exists(self._run.task(self._state.tasks[name].task.label).status):
                del self._written[name]

    def _write_tasks(self, until: float) -> tuple[bool, bool]:
        """Write the statuses that have changed, until `until` (monotonic).

        Returns whether some were written, and whether some are left.

        What is left has its turn when others had theirs: of a thousand tasks that start at once,
        each is then mostly written but once.
        """
        changed = False
        states = [*self._state.tasks.items()]
        for place in (*range(self._unwritten, len(states)), *range(self._unwritten)):
            name, state = states[place]
            nothing_said = state.phase == State.WAITING and name not in self._written
            if nothing_said and (self.protection is None or state.beginning):
                continue  # there is nothing to say yet, or there is more to say soon
            mark = self._mark(name, state)
            if self._written.get(name) == mark:
                continue
            if time.monotonic() > until:
                self._unwritten = place
                return changed, True
            if self._keep(state):
                self._written[name] = self._mark(name, state)
                changed = True
        return changed, False

    def _mark(self, name: str, state: TaskState) -> tuple[object, ...]:
        """A value that changes whenever the task's status does.

        It is made for a thousand tasks many times a second.

        How it ended changes with its phase, and its pages come with its address.
        """
        unplaced = self.protection is not None and name not in self._placed
        return (
            state.phase, state.pid, state.restarts, state.started, state.ready, state.ended,
            len(state.retried), unplaced and self._cell.address(state.task),
        )  # fmt: skip

    def _keep(self, state: TaskState) -> bool:
        """Write a task's status. False if the disk refuses it now."""
        directory = self._run.task(state.task.label)
        name, status = state.task.name, self._task_status(state)
        try:
            if name not in self._written:
                files.make_directory(directory.path.parent)
                files.make_directory(directory.path)
            status.write(directory.status)
        except OSError:
            self._written.pop(name, None)
            return False
        if status.address is not None:
            self._placed.add(name)
        return True

    def _task_status(self, state: TaskState) -> TaskStatus:
        opened = self.protection is not None
        urls = self._cell.urls(state.task) if opened else {}
        return TaskStatus(
            task=state.task.name,
            job=state.task.job,
            index=state.task.index,
            state=state.phase,
            address=self._cell.address(state.task) if opened else None,
            host=self._hosts.get(state.task.name),
            pid=state.pid,
            restarts=state.restarts,
            exit_code=state.exit_code,
            signal=_signal(state.signal),
            reason=veiled_all(state.reason),
            cause=state.cause,
            retried=tuple(state.retried[-MOST_MARKS:]),
            url=next(iter(urls.values()), None),
            urls=urls,
            started=state.started,
            ready=state.ready,
            ended=state.ended,
        )

    def _run_status(self, now: float) -> RunStatus:
        first = failure.first_failure(self._state.deaths)
        failed = self._state.outcome == State.FAILED and first is not None
        consequences = failure.consequences(self._state.deaths) if failed else []
        return RunStatus(
            cluster=self._run.cluster,
            run=self._run.run,
            cell=self._state.plan.cell,
            state=self._state.phase,
            outcome=self._state.outcome,
            reason=veiled_all(self._state.reason),
            started=self._began,
            updated=time.time(),  # views hold it against the machine's own clock
            ended=now if self._state.phase.is_terminal else None,
            host=self._host,
            supervisor_pid=os.getpid(),
            protection=self.protection.kind if self.protection else None,
            protection_words=self.protection.words if self.protection else None,
            resumed_from=self._resumed,
            hang=self._hang(),
            not_finite=tuple(self._figures.found),
            first_failure=self._first_failure(first) if failed and first else None,
            consequences=tuple(_death(death) for death in consequences),
        )

    def _hang(self) -> HangStatus | None:
        found, rule = self._state.hang, self._state.plan.hang
        if found is None or found.hung is None:
            return None
        hung, action = found.hung, rule.action if rule else None
        return HangStatus(round(found.time, 3), hung.task, hung.words, hung.report, action)

    def _first_failure(self, death: Death) -> FirstFailureStatus:
        label = self._state.tasks[death.task].task.label
        directory, shown = self._run.task(label), self._state.plan.shown
        found = ended_by(directory)
        return FirstFailureStatus(
            _death(death),
            tuple(shown(line) for line in last_lines(directory, LAST_LINES)),
            tuple(shown(line) for line in last_lines(directory, LAST_STDERR, ("stderr",))),
            masked(found, shown) if found else None,
        )


def _death(death: Death) -> DeathStatus:
    return DeathStatus(
        task=death.task,
        time=death.time,
        exit_code=death.exit_code,
        signal=_signal(death.signal),
        words=veiled_all(death.words),
        reason=veiled_all(death.reason),
        cause=death.cause,
    )


def _signal(number: int | None) -> str | None:
    return None if number is None else signal_name(number)
