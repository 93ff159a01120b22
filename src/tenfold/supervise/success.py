"""Policy: whether and how the cluster has ended."""

from __future__ import annotations

from typing import Literal

from tenfold.base.naming import ranges
from tenfold.run.states import UNSTARTED, State
from tenfold.supervise.failure import may_follow
from tenfold.supervise.start import awaited
from tenfold.supervise.state import ClusterState, TaskState

Outcome = tuple[Literal[State.SUCCEEDED, State.FAILED], str]


def is_reached(cluster: ClusterState) -> bool:
    """Whether every task of the success jobs ended well and none will restart."""
    decisive = _decisive(cluster)
    return bool(decisive) and all(
        state.phase == State.SUCCEEDED and state.task.restart.policy != "always"
        for state in decisive
    )


def outcome(cluster: ClusterState, now: float) -> Outcome | None:
    """The outcome of the cluster and its reason, or None while it still runs.

    It succeeds when every task of its success jobs did, whatever else has died; of tasks that are
    not needed, one of each job has to. It fails with the first needed task that ended for good in
    any other way, when no task of a success job is left, and when a task is over that another one
    still waits for.
    """
    jobs = [cluster.job(job) for job in cluster.plan.success]
    if jobs and all(map(_ended_well, jobs)):
        return State.SUCCEEDED, _words_of_success(cluster)
    failed = [s for s in cluster.tasks.values() if s.phase == State.FAILED and s.task.needed]
    failed += [s for job in jobs if _is_lost(job) for s in job if s.phase == State.FAILED]
    if failed:
        return _failure(cluster, min(failed, key=lambda state: state.ended or now), now)
    for state in cluster.tasks.values():
        if state.phase in UNSTARTED and (reason := _waits_in_vain(cluster, state)):
            return State.FAILED, reason
    if all(state.phase.is_terminal for state in cluster.tasks.values()):
        return State.SUCCEEDED, "all tasks ended"
    return None


def _decisive(cluster: ClusterState) -> list[TaskState]:
    return [state for job in cluster.plan.success for state in cluster.job(job)]


def _failure(cluster: ClusterState, first: TaskState, now: float) -> Outcome | None:
    if may_follow(cluster, first, now):
        return None
    death = next(d for d in reversed(cluster.deaths) if d.task == first.task.name)
    return State.FAILED, f"{first.task.name} {death.words}"


def _waits_in_vain(cluster: ClusterState, state: TaskState) -> str | None:
    for job, condition in awaited(cluster, state).items():
        for other in cluster.job(job):
            if other.phase.is_terminal and other.phase != State.SUCCEEDED:
                name = state.task.name
                return f"{other.task.name} {other.phase}, but {name} waits until it is {condition}"
    return None


def _ended_well(job: list[TaskState]) -> bool:
    """Whether all needed tasks of a job ended well, and at least one task did."""
    return any(state.phase == State.SUCCEEDED for state in job) and all(
        state.phase == State.SUCCEEDED or (state.phase.is_terminal and not state.task.needed)
        for state in job
    )


def _is_lost(job: list[TaskState]) -> bool:
    """Whether all tasks of a job have ended, and none of them well."""
    return all(state.phase.is_terminal and state.phase != State.SUCCEEDED for state in job)


def _words_of_success(cluster: ClusterState) -> str:
    words = f"{' and '.join(cluster.plan.success)} finished"
    lost = [s.task.name for s in _decisive(cluster) if s.phase != State.SUCCEEDED]
    return f"{words}, without {ranges(lost)}" if lost else words
