"""Policy: whether the cluster has ended, and how."""

from __future__ import annotations

from typing import Literal

from tenfold.supervise.failure import may_follow
from tenfold.supervise.start import awaited
from tenfold.supervise.state import OVER, ClusterState, TaskState

Outcome = tuple[Literal["succeeded", "failed"], str]


def is_reached(cluster: ClusterState) -> bool:
    """Whether every task of the success jobs has ended well, and none is to start again."""
    decisive = _decisive(cluster)
    return bool(decisive) and all(
        state.phase == "succeeded" and state.task.restart.policy != "always" for state in decisive
    )


def outcome(cluster: ClusterState, now: float) -> Outcome | None:
    """How the cluster ended, and why, or None while it goes on.

    It succeeds when every task of its success jobs did, whatever else has died. It fails with the
    first needed task that ended for good in any other way, and when a task is over that another one
    still waits for.
    """
    decisive = _decisive(cluster)
    if decisive and all(state.phase == "succeeded" for state in decisive):
        return "succeeded", f"{' and '.join(cluster.plan.success)} ended well"
    failed = [s for s in cluster.tasks.values() if s.phase == "failed" and _is_needed(cluster, s)]
    if failed:
        return _failure(cluster, min(failed, key=lambda state: state.ended or now), now)
    for state in cluster.tasks.values():
        if state.phase in {"waiting", "restarting"} and (reason := _waits_in_vain(cluster, state)):
            return "failed", reason
    if all(state.phase in OVER for state in cluster.tasks.values()):
        return "succeeded", "all tasks ended"
    return None


def _decisive(cluster: ClusterState) -> list[TaskState]:
    return [state for job in cluster.plan.success for state in cluster.job(job)]


def _failure(cluster: ClusterState, first: TaskState, now: float) -> Outcome | None:
    if may_follow(cluster, first, now):
        return None
    death = next(d for d in reversed(cluster.deaths) if d.task == first.task.name)
    return "failed", f"{first.task.name} {death.words}"


def _waits_in_vain(cluster: ClusterState, state: TaskState) -> str | None:
    for job, condition in awaited(cluster, state).items():
        for other in cluster.job(job):
            if other.phase in OVER and other.phase != "succeeded":
                name = state.task.name
                return f"{other.task.name} {other.phase}, and {name} waits until it is {condition}"
    return None


def _is_needed(cluster: ClusterState, state: TaskState) -> bool:
    return state.task.needed or state.task.job in cluster.plan.success
