"""Desired minus actual: from a run's state and the time to the next actions.

Calls the policies in order and applies what they decide to the state. Pure but for that: no
clock, no process, no file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tenfold.run.states import State
from tenfold.supervise import failure, hang, lingering, notices, stop, success, unready
from tenfold.supervise.deaths import Death
from tenfold.supervise.notices import Notice
from tenfold.supervise.restart import restart_at, spent_restarts, unforgiven
from tenfold.supervise.start import may_start
from tenfold.supervise.state import ClusterState, HangNews, Hung, TaskState
from tenfold.supervise.stop import Signal


@dataclass(frozen=True, slots=True)
class Retry:
    """`task` failed and will be restarted, and `others` with it.

    `attempt` counts from 1.
    """

    task: TaskState
    others: list[TaskState]
    attempt: int


@dataclass(frozen=True, slots=True)
class Unkillable:
    """`task` was killed but did not end.

    The supervisor no longer waits for it. `pid` was its process.
    """

    task: TaskState
    pid: int | None


@dataclass(frozen=True, slots=True)
class HangReport:
    """A finding of the hang watch to report.

    It contains the tasks that are restarted because of it.
    """

    news: HangNews
    restarted: list[TaskState] = field(default_factory=list)


@dataclass(slots=True)
class Actions:
    """The actions to take now, in this order.

    Attributes:
        hangs: hangs, and their ends, to report.
        unready: tasks that were not ready in time: probe them no longer.
        retried: tasks that failed and will be started again, and what with each.
        signals: signals to send.
        unkillable: tasks that were killed in vain.
        start: tasks to start.
        call_off: tasks whose start is under way: do not start them after all.
        notes: messages for people, each with a hint or None.
        notices: news for people who are not watching.
        over: the run has ended, nothing is live; or this supervisor leaves it.
    """

    hangs: list[HangReport] = field(default_factory=list)
    unready: list[TaskState] = field(default_factory=list)
    retried: list[Retry] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    unkillable: list[Unkillable] = field(default_factory=list)
    start: list[TaskState] = field(default_factory=list)
    call_off: list[TaskState] = field(default_factory=list)
    notes: list[tuple[str, str | None]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    over: bool = False


def step(cluster: ClusterState, now: float) -> Actions:
    """The actions that follow from the state at `now` (seconds since 1970).

    The caller reports what came of the actions with the state's `observe_…` methods, and calls
    again after every observation and at least twice a second, and once when the cell is closed.
    """
    if cluster.closed:
        return _conclude(cluster, now)
    if cluster.leaving is not None:
        return Actions(over=True)
    if cluster.lost is not None and cluster.stop_since is None:
        cluster.begin_stop(State.FAILED, cluster.lost, now)
    actions = Actions(hangs=_rule_on_hangs(cluster))
    if cluster.stop_since is None and not cluster.opening:
        actions.unready = _end_unready(cluster, now)
        actions.retried = _retry(cluster, now)
        _mark_recovered(cluster)
        _judge(cluster, now)
    actions.signals = stop.signals(cluster, now)
    actions.unkillable = _give_up(cluster, now)
    if cluster.stop_since is not None:
        actions.call_off = [state for state in cluster.tasks.values() if state.beginning]
        actions.over = not any(state.live for state in cluster.tasks.values())
    elif not cluster.opening:
        actions.start = may_start(cluster, now)
        _note_running(cluster)
        actions.notes = _report_lingering(cluster, now)
    if actions.over:
        _close(cluster, now)
    actions.notices = _news(actions)
    return actions


def _news(actions: Actions) -> list[Notice]:
    """What a step that is not the last one has to tell."""
    hung = [report.news.hung for report in actions.hangs if report.news.hung is not None]
    told = [notices.of_hang(one) for one in hung]
    if actions.retried:
        culprits = [retry.task for retry in actions.retried]
        others = [other for retry in actions.retried for other in retry.others]
        told.append(notices.of_restarts(culprits, others))
    return told


def _conclude(cluster: ClusterState, now: float) -> Actions:
    """The last step: the cell is closed.

    A run that is left continues under another supervisor.
    """
    if cluster.broken is not None:
        cluster.outcome, cluster.reason = State.FAILED, cluster.broken
    if cluster.leaving is None:
        _close(cluster, now)
        told = notices.of_end(cluster)
        return Actions(notices=[told] if told else [], over=True)
    for state in cluster.tasks.values():
        if not state.phase.is_terminal:
            state.phase, state.pid = State.WAITING, None
    cluster.phase, cluster.outcome, cluster.reason = State.STARTING, None, cluster.leaving
    return Actions(notes=[(cluster.leaving, None)], over=True)


def _rule_on_hangs(cluster: ClusterState) -> list[HangReport]:
    """Apply the hang policy to each finding.

    While the run stops, findings are dropped.
    """
    found, cluster.hang_news = cluster.hang_news, []
    reports = []
    for news in found:
        if cluster.stop_since is not None:
            break
        cluster.hang = news if news.hung is not None else None
        restarted = [] if news.hung is None else _apply(cluster, news.hung, news.time)
        reports.append(HangReport(news, restarted))
    return reports


def _apply(cluster: ClusterState, hung: Hung, now: float) -> list[TaskState]:
    """Carry out the ruling of the hang policy, and return the restarted tasks.

    The restart counts against the budget of the first of them, as a failure would.
    """
    ruled = hang.ruling(cluster, hung, now)
    if ruled.stop is not None:
        cluster.begin_stop(State.FAILED, ruled.stop, now)
    for state in ruled.restart:
        state.start_again(now)
    if ruled.restart:
        ruled.restart[0].retried.append(now)
    return ruled.restart


def _end_unready(cluster: ClusterState, now: float) -> list[TaskState]:
    """End the tasks that were not ready in time. Each has failed."""
    found = unready.overdue(cluster, now)
    for state in found:
        state.unready = True
        name, needed = state.task.name, state.task.needed
        cluster.deaths.append(Death(name, now, None, None, unready.words(state), needed))
    return found


def _give_up(cluster: ClusterState, now: float) -> list[Unkillable]:
    """Stop waiting for tasks that were killed but did not end."""
    found = [Unkillable(state, state.pid) for state in stop.unkillable(cluster, now)]
    for one in found:
        cluster.give_up(one.task.task.name, now)
    return found


def _report_lingering(cluster: ClusterState, now: float) -> list[tuple[str, str | None]]:
    """Report each rank that still runs after the others of its group have ended.

    Each is reported once.
    """
    found = lingering.unreported(cluster, now)
    cluster.lingering.update(one.key for one in found)
    hint = f"see where it is: tenfold stacks {cluster.plan.cluster}"
    return [(one.words(now), hint) for one in found]


def _retry(cluster: ClusterState, now: float) -> list[Retry]:
    """The tasks to restart: each that died first, with those that only followed."""
    if cluster.outcome is not None or success.is_reached(cluster):
        return []
    retried: list[tuple[TaskState, list[TaskState]]] = []
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
            retried.append((state, others))
    return [
        Retry(state, others, spent_restarts(failure.sharing(cluster, state), now))
        for state, others in retried
    ]


def _take_along(cluster: ClusterState, other: TaskState, at: float, now: float) -> None:
    """Restart `other` together with the culprit.

    If `other` died just before, its death only followed.
    """
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
    """End the run if its outcome is known.

    A run that is kept continues, and its outcome is noted.
    """
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
    """The deaths that count: final failures, and what came after the first.

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
    """End a run without processes. Tasks that are not over were stopped."""
    for state in cluster.tasks.values():
        if not state.phase.is_terminal:
            state.phase, state.pid = State.STOPPED, None
            state.ended = state.ended or (now if state.started is not None else None)
    cluster.phase = cluster.outcome or State.STOPPED
