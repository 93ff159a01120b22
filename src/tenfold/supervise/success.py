"""Policy: whether the cluster has ended, and how."""

from __future__ import annotations

from typing import Literal

from tenfold.supervise.failure import may_follow
from tenfold.supervise.state import OVER, ClusterState, TaskState

Outcome = tuple[Literal["succeeded", "failed"], str]


def outcome(cluster: ClusterState, now: float) -> Outcome | None:
    """How the cluster ended, and why, or None while it goes on.

    It succeeds when every task of its success jobs did. It fails with the first needed task that
    ended for good in any other way, and when a task is over that another one still waits for.
    """
    for state in cluster.tasks.values():
        if _waits(state) and (reason := _waits_in_vain(cluster, state)):
            return "failed", reason
        if state.phase == "failed" and _is_needed(cluster, state):
            if may_follow(cluster, state, now):
                return None
            death = next(d for d in reversed(cluster.deaths) if d.task == state.task.name)
            return "failed", f"{state.task.name} {death.words}"
    decisive = [state for job in cluster.plan.success for state in cluster.job(job)]
    if decisive and all(state.phase == "succeeded" for state in decisive):
        return "succeeded", f"{' and '.join(cluster.plan.success)} ended well"
    if all(state.phase in OVER for state in cluster.tasks.values()):
        return "succeeded", "all tasks ended"
    return None


def _waits(state: TaskState) -> bool:
    return state.phase == "waiting" or (state.phase == "restarting" and state.in_order)


def _waits_in_vain(cluster: ClusterState, state: TaskState) -> str | None:
    for job, condition in state.task.after.items():
        for other in cluster.job(job):
            if other.phase in OVER and other.phase != "succeeded":
                name = state.task.name
                return f"{other.task.name} {other.phase}, and {name} waits until it is {condition}"
    return None


def _is_needed(cluster: ClusterState, state: TaskState) -> bool:
    return state.task.needed or state.task.job in cluster.plan.success
