"""The state of a run and its tasks, and the observations that change it.

Owns no process, file or clock: observations carry their time (seconds since 1970). Methods called
`observe_…` record what happened, and `ask_…` what was asked for; everybody may call them. All other
changes of a state are decisions, which `reconcile` makes.
"""

from __future__ import annotations

import signal
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tenfold.cells import Cause, Ended, Outcome, Patience
from tenfold.planning.plan import Plan, Task
from tenfold.run.states import State
from tenfold.supervise.deaths import Death

RunEnd = Literal[State.SUCCEEDED, State.FAILED, State.STOPPED]


@dataclass(frozen=True, slots=True)
class Hung:
    """The hang watch's finding: the tasks make no progress.

    Attributes:
        words: what hangs, in a sentence without its end.
        task: the likely culprit, or None if nobody stands out.
        report: the path of the report, or None if the disk did not take it.
    """

    words: str
    task: str | None
    report: str | None


@dataclass(frozen=True, slots=True)
class HangNews:
    """At `time` the hang watch found a hang.

    If `hung` is None, the tasks make progress again.
    """

    time: float
    hung: Hung | None


@dataclass(slots=True)
class TaskState:
    """One task's life so far. Times are seconds since 1970.

    Attributes:
        retried: when it was started again after a failure of its own; what the user asked for, and
            what it was started again with others for, does not count.
        start_at: when it may start again.
        in_order: it starts again only after what it comes after, as at first, and when all that
            start again with it have ended.
        beginning: its cell has been asked to start it, and has not answered yet.
        told: when it was first told to end, in its present life; `killed` when it was told for
            the last time.
        left: when its own process ended, of which others have not; they are told to end.
        given_up: it was killed and has not ended, and is not waited for any more.
        waits: why it is not ready yet, as far as anybody knows.
        unready: it was not ready in time, and has to end.
    """

    task: Task
    phase: State = State.WAITING
    pid: int | None = None
    started: float | None = None
    ready: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    cause: Cause | None = None
    restarts: int = 0
    retried: list[float] = field(default_factory=list)
    start_at: float = 0.0
    in_order: bool = False
    beginning: bool = False
    told: float | None = None
    killed: float | None = None
    left: float | None = None
    left_as: Ended | None = None
    given_up: bool = False
    restart_asked: bool = False
    unready: bool = False
    waits: str | None = None

    @property
    def live(self) -> bool:
        """Whether a process of the task exists."""
        return self.phase.is_live

    @property
    def to_end(self) -> bool:
        """The task has to end although the run continues."""
        return self.live and (self.restart_asked or self.unready or self.left is not None)

    @property
    def has_failed(self) -> bool:
        """Whether the task's own process has failed while others still run."""
        if self.left is None or self.left_as is None:
            return False
        asked = self.told is not None and self.told < self.left
        return not asked and (self.left_as.exit_code != 0 or self.task.service)

    @property
    def used(self) -> bool:
        """Whether the task was ready in its present life.

        Tasks that come after it may then start.
        """
        return self.lasts and self.ready is not None

    @property
    def lasts(self) -> bool:
        """Whether a process exists that is to last until the run ends."""
        return self.live and not self.to_end

    def start_again(self, at: float) -> None:
        """Restart the task at `at` or later, when its order allows it.

        If its present life has not ended, it ends first.
        """
        self.in_order, self.start_at = True, max(at, self.start_at)
        if self.live or self.beginning:
            self.restart_asked = True
        elif self.phase != State.WAITING:
            self.phase = State.RESTARTING


@dataclass(slots=True)
class ClusterState:
    """A run's life so far. `patience` is its cell's.

    Attributes:
        deaths: those that nobody has recovered from.
        outcome: how the run will have ended, once it is known; `reason` says why.
        stop_since: when the run began to stop.
        kill: no more grace.
        opening: its cell is being opened; no task can start yet.
        closed: its cell is closed; no process of the run is left.
        lost: why the cell, and all tasks with it, are gone.
        leaving: why this supervisor leaves the run to another one that the cell will start.
        broken: why the supervisor itself cannot go on.
        lingering: what was reported of ranks that still run (`lingering.Lingering.key`).
        hang: the hang there is now; its `hung` is not None.
        hang_news: what the hang watch found since the last step.
    """

    plan: Plan
    tasks: dict[str, TaskState]
    keep: bool = False
    patience: Patience = field(default_factory=Patience)
    phase: State = State.STARTING
    outcome: State | None = None
    reason: str | None = None
    stop_since: float | None = None
    kill: bool = False
    deaths: list[Death] = field(default_factory=list)
    opening: bool = False
    closed: bool = False
    lost: str | None = None
    leaving: str | None = None
    broken: str | None = None
    lingering: set[Hashable] = field(default_factory=set)
    hang: HangNews | None = None
    hang_news: list[HangNews] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        plan: Plan,
        keep: bool = False,
        retried: Mapping[str, Sequence[float]] | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> ClusterState:
        """The state of a run of `plan` before its start.

        `retried`: by task, when tasks were started again before, by a supervisor that died.
        """
        past = retried or {}
        tasks = {t.name: TaskState(t, retried=list(past.get(t.name, ()))) for t in plan.tasks}
        return cls(plan, tasks, keep, patience)

    def job(self, name: str) -> list[TaskState]:
        """The tasks of a job, in the order of their index."""
        return [state for state in self.tasks.values() if state.task.job == name]

    def observe_opening(self) -> None:
        """The cell is being opened."""
        self.opening = True

    def observe_open(self) -> None:
        """The cell is open."""
        self.opening = False

    def observe_closed(self) -> None:
        """The cell is closed."""
        self.closed = True

    def observe_broken(self, message: str) -> None:
        """The supervisor cannot continue: its cell or its own code failed."""
        self.broken = message

    def observe_started(self, name: str, pid: int | None, now: float) -> None:
        """The task's process runs."""
        state = self.tasks[name]
        state.restarts += state.started is not None
        state.phase, state.pid, state.started = State.STARTING, pid, now
        state.ready = state.ended = state.exit_code = state.signal = None
        state.reason = state.cause = state.told = state.killed = None
        state.left = state.left_as = state.waits = None
        state.unready = state.beginning = False
        state.in_order = state.restart_asked

    def observe_beginning(self, name: str) -> None:
        """The cell is asked to start the task."""
        self.tasks[name].beginning = True

    def observe_ready(self, name: str, now: float) -> bool:
        """The task is ready. False if it is no longer to be used."""
        state = self.tasks[name]
        if state.phase != State.STARTING:
            return False
        state.phase, state.ready = State.RUNNING, now
        return True

    def observe_refused(self, name: str, reason: str, now: float) -> None:
        """The task could not be started."""
        state = self.tasks[name]
        state.phase, state.ended, state.pid = State.FAILED, now, None
        state.exit_code = state.signal = state.cause = state.told = state.killed = None
        state.beginning = state.restart_asked = state.in_order = False
        state.reason = reason
        self.deaths.append(Death(name, now, None, None, reason, state.task.needed))

    def observe_waits(self, name: str, waits: str | None) -> None:
        """The task is not ready yet, with the reason."""
        self.tasks[name].waits = waits

    def observe_told(self, name: str, now: float, *, kill: bool) -> None:
        """The task was sent SIGTERM, or SIGKILL."""
        state = self.tasks[name]
        state.phase, state.killed = State.STOPPING, now if kill else None
        state.told = now if state.told is None else state.told

    def observe_left(self, name: str, ended: Ended, now: float) -> None:
        """The task's own process ended, but processes that it has started did not."""
        state = self.tasks[name]
        if not state.given_up:
            state.left, state.left_as = now, ended
            state.phase = State.STOPPING

    def observe_exit(self, name: str, ended: Ended, now: float) -> None:
        """The task and all its processes ended. `reconcile` decides what follows.

        It ended when its own process did, whenever the others followed.
        """
        state = self.tasks[name]
        if state.given_up:
            return
        if state.left is not None:
            now = state.left
        asked = state.told is not None and (state.left is None or state.told < state.left)
        state.left = state.left_as = None
        state.ended, state.exit_code, state.signal = now, ended.exit_code, ended.signal
        state.reason, state.cause, state.pid = ended.reason, ended.cause, None
        good = ended.exit_code == 0 and not state.task.service
        if state.restart_asked:
            state.restart_asked, state.phase = False, State.RESTARTING
            state.start_at = max(now, state.start_at)
        elif asked or self._swept_away(ended.signal):
            state.phase = State.FAILED if state.unready else State.STOPPED
        elif good:
            state.phase = State.SUCCEEDED
        else:
            state.phase = State.FAILED
            self._note_death(state, now)

    def _note_death(self, state: TaskState, now: float) -> None:
        self.deaths.append(
            Death(
                state.task.name,
                now,
                state.exit_code,
                state.signal,
                state.reason,
                state.task.needed,
                cause=state.cause,
            )
        )

    def give_up(self, name: str, now: float) -> None:
        """Stop waiting for a killed task that the kernel does not let end."""
        state = self.tasks[name]
        state.phase, state.ended = State.FAILED, now
        state.given_up, state.restart_asked = True, False
        state.reason = (
            "was killed, but its exit was not reported"
            if state.pid is None
            else f"could not be killed: its process {state.pid} hangs in the kernel"
        )
        state.pid = None
        self._note_death(state, now)

    def _swept_away(self, signal_number: int | None) -> bool:
        """Whether the tasks were signalled because the run is stopped from outside.

        The place where the supervisor runs then signals the tasks as well.
        """
        ending = self.stop_since is not None and self.outcome != State.FAILED
        return ending and signal_number in (signal.SIGTERM, signal.SIGKILL)

    def ask_restart(self, name: str) -> bool:
        """Request a restart of a task.

        False if the run is ending or the task has not started.
        """
        if self.outcome is not None and not self.keep:
            return False
        state = self.tasks.get(name)
        if state is None or state.phase == State.WAITING or state.given_up:
            return False
        if state.live:
            state.restart_asked = True
        else:
            state.phase, state.start_at = State.RESTARTING, 0.0
        return True

    def observe_hang(self, hung: Hung | None, now: float) -> None:
        """The hang watch found a hang. With None, the tasks make progress again."""
        self.hang_news.append(HangNews(now, hung))

    def observe_cell_lost(self, reason: str, now: float) -> None:
        """The process that started the tasks is gone, and they with it.

        None of them has failed.
        """
        for state in self.tasks.values():
            if state.live:
                state.phase, state.pid, state.ended = State.STOPPED, None, now
                state.reason = f"ended: {reason}"
        self.lost = self.lost or reason

    def observe_cell_ending(self, outcome: Outcome, reason: str, now: float) -> None:
        """The cell ends the run.

        `again`: it will start another supervisor of the run.
        """
        if outcome == "again":
            self.leaving = reason
        elif self.stop_since is None:
            self.begin_stop(outcome, reason, now)

    def observe_terminated(
        self, why: tuple[Outcome, str] | None, otherwise: str, now: float
    ) -> None:
        """The supervisor was asked to end.

        `why` is what the cell knows of the cause. `otherwise` is the reason if the cell knows none.

        Told again, the run ends at once.
        """
        if why is None or self.stop_since is not None:
            self.ask_stop(otherwise, now)
        else:
            self.observe_cell_ending(*why, now)

    def ask_stop(self, reason: str, now: float) -> None:
        """Ask the run to end. The second time, kill it."""
        if self.stop_since is not None:
            self.kill = True
            return
        self.begin_stop(State.STOPPED, reason, now)

    def ask_kill(self, reason: str, now: float) -> None:
        """Kill the run."""
        self.ask_stop(reason, now)
        self.kill = True

    def begin_stop(self, outcome: RunEnd, reason: str, now: float) -> None:
        """Begin to end the run. The first outcome stands."""
        if self.outcome is None:
            self.outcome, self.reason = outcome, reason
        self.stop_since, self.phase = now, State.STOPPING
