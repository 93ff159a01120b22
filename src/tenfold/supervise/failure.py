"""Policy: which death was the first, which followed, and whom a death affects."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.run.states import State
from tenfold.supervise.deaths import Death
from tenfold.supervise.state import ClusterState, TaskState


def together(cluster: ClusterState, culprit: TaskState) -> list[TaskState]:
    """The tasks to restart together with `culprit`, by its rule's scope."""
    return [
        state
        for state in cluster.tasks.values()
        if state is not culprit
        and _covers(culprit, state)
        and not state.given_up
        and (state.phase != State.WAITING or state.beginning)
    ]


def sharing(cluster: ClusterState, culprit: TaskState) -> list[TaskState]:
    """The tasks that share one restart budget with `culprit`.

    A failure of any of them has the same effects.
    """
    return [
        state
        for state in cluster.tasks.values()
        if state is culprit
        or (_covers(culprit, state) and state.task.restart.scope == culprit.task.restart.scope)
    ]


def _covers(culprit: TaskState, state: TaskState) -> bool:
    match culprit.task.restart.scope:
        case "job":
            return state.task.job == culprit.task.job
        case "cluster":
            return state.task.member
        case _:
            return False


def may_follow(cluster: ClusterState, failed: TaskState, now: float) -> bool:
    """Whether `failed` may have ended because of a death not known yet.

    A death may be heard of after those that follow from it: a chief raises an exception because a
    parameter server was killed, on another host. So it is not judged yet: the other death may start
    both again.
    """
    if failed.ended is None or failed.given_up:
        return False
    if follows(cluster, failed):
        return True
    if now >= failed.ended + cluster.patience.settle_s:
        return False
    return any(
        _covers(other, failed)
        for other in cluster.tasks.values()
        if other is not failed
        and not other.phase.is_terminal
        and other.task.restart.policy != "never"
    )


def follows(cluster: ClusterState, failed: TaskState) -> bool:
    """Whether an earlier failed task has not ended: it still has processes.

    What becomes of both is decided when it has ended, by the end that was the first.
    """
    ended = failed.ended
    return ended is not None and any(
        other.has_failed
        and other.left is not None
        and other.left <= ended
        and (other.task.needed or _covers(other, failed))
        for other in cluster.tasks.values()
        if other is not failed
    )


def first_failure(deaths: Sequence[Death]) -> Death | None:
    """The earliest of these deaths.

    A death of a needed task takes precedence.
    """
    needed = [death for death in deaths if death.needed]
    return min(needed or deaths, key=lambda death: death.time, default=None)


def consequences(deaths: Sequence[Death]) -> list[Death]:
    """The deaths after the first failure, in order, each task once."""
    first = first_failure(deaths)
    if first is None:
        return []
    later = {
        death.task: death
        for death in sorted(deaths, key=lambda death: death.time, reverse=True)
        if death.task != first.task and death.time >= first.time
    }
    return sorted(later.values(), key=lambda death: death.time)


def without(deaths: Sequence[Death], task: str) -> list[Death]:
    """The remaining deaths when those of `task` no longer count.

    They no longer count when the task is ready again.
    """
    return [death for death in deaths if death.task != task]
