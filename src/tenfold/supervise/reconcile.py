"""Desired minus actual: from a run's state and the time to the next actions.

Calls the policies in order and applies what they decide to the state. Pure but for that: no
clock, no process, no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tenfold.states import UNSTARTED, State
from tenfold.supervise import failure, stop, success
from tenfold.supervise.restart import restart_at, unforgiven
from tenfold.supervise.start import may_start
from tenfold.supervise.state import ClusterState, Death, TaskState
from tenfold.supervise.stop import Signal


@dataclass(frozen=True, slots=True)
class Retry:
    """`task` failed and will be started again, and `others` with it."""

    task: TaskState
    others: list[TaskState]


@dataclass(slots=True)
class Actions:
    """What to do now, in this order.

    Attributes:
        retried: tasks that failed and will be started again, and what with each.
        signals: signals to send.
        unkillable: tasks that were killed in vain, and are waited for no longer.
        start: tasks to start.
        over: the run has ended; nothing is live.
    """

    retried: list[Retry] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    unkillable: list[TaskState] = field(default_factory=list)
    start: list[TaskState] = field(default_factory=list)
    over: bool = False


def step(cluster: ClusterState, now: float) -> Actions:
    """What follows from the state at `now` (seconds since 1970).

    The caller reports what came of the actions with the state's `observe_…` methods, and calls
    again after every observation and at least twice a second.
    """
    actions = Actions()
    if cluster.stop_since is None:
        actions.retried = _retry(cluster, now)
        _mark_recovered(cluster)
        _judge(cluster, now)
    actions.signals = stop.signals(cluster, now)
    actions.unkillable = stop.unkillable(cluster, now)
    if cluster.stop_since is None:
        actions.start = may_start(cluster, now)
        _note_running(cluster)
    elif not any(state.live for state in cluster.tasks.values()):
        _close(cluster, now)
        actions.over = True
    return actions


def _retry(cluster: ClusterState, now: float) -> list[Retry]:
    """Who starts again; the first to have died takes those along that only followed."""
    if cluster.outcome is not None or success.is_reached(cluster):
        return []
    retried = []
    ended = [s for s in cluster.tasks.values() if s.phase in {State.FAILED, State.SUCCEEDED}]
    for state in sorted(ended, key=lambda state: state.ended or now):
        if state.phase not in {State.FAILED, State.SUCCEEDED} or state.given_up:
            continue
        if failure.follows(cluster, state):
            continue
        at = restart_at(cluster, state)
        if at is not None:
            others = failure.together(cluster, state)
            state.retried = [*unforgiven(state, now), now]
            state.phase, state.start_at, state.in_order = State.RESTARTING, at, bool(others)
            for other in others:
                _take_along(cluster, other, at, now)
            retried.append(Retry(state, others))
    return retried


def _take_along(cluster: ClusterState, other: TaskState, at: float, now: float) -> None:
    """Start `other` again with the culprit; a death of its own just before only followed."""
    just_died = other.phase == State.RESTARTING and other.retried
    if just_died and now - other.retried[-1] < cluster.patience.settle_s:
        other.retried.pop()
    cluster.deaths = failure.without(cluster.deaths, other.task.name)
    other.start_again(at)


def _mark_recovered(cluster: ClusterState) -> None:
    for name in {death.task for death in cluster.deaths}:
        if cluster.tasks[name].phase in {State.RUNNING, State.SUCCEEDED}:
            cluster.deaths = failure.without(cluster.deaths, name)


def _judge(cluster: ClusterState, now: float) -> None:
    """End the run if its outcome is known; a run that is kept goes on, its outcome noted."""
    if cluster.outcome is not None:
        return
    found = success.outcome(cluster, now)
    if found is None:
        return
    if cluster.keep and found[0] == State.SUCCEEDED:
        cluster.outcome, cluster.reason = found
        return
    cluster.deaths = _lasting(cluster)
    cluster.begin_stop(found[0], found[1], now)


def _lasting(cluster: ClusterState) -> list[Death]:
    """The deaths that count: of tasks that have failed for good, and what came after the first.

    A task that died earlier and was to be started again has failed nobody.
    """
    failed = {name for name, state in cluster.tasks.items() if state.phase == State.FAILED}
    since = min((d.time for d in cluster.deaths if d.task in failed and d.needed), default=0.0)
    return [d for d in cluster.deaths if d.task in failed or d.time >= since]


def _note_running(cluster: ClusterState) -> None:
    if cluster.phase == State.STARTING and not any(
        state.phase in {State.WAITING, State.STARTING} for state in cluster.tasks.values()
    ):
        cluster.phase = State.RUNNING


def _close(cluster: ClusterState, now: float) -> None:
    for state in cluster.tasks.values():
        if state.phase in UNSTARTED:
            state.phase = State.STOPPED
            state.ended = state.ended or (now if state.started else None)
    cluster.phase = cluster.outcome or State.STOPPED
