"""Policy: which tasks may start now."""

from __future__ import annotations

from tenfold.planning.plan import Condition
from tenfold.run.states import UNSTARTED, State
from tenfold.supervise.state import ClusterState, TaskState


def may_start(cluster: ClusterState, now: float) -> list[TaskState]:
    """The tasks to start now.

    What they come after has come, and their backoff is over.
    """
    met: dict[tuple[str, str], bool] = {}
    ending_together = any(s.in_order and s.restart_asked for s in cluster.tasks.values())

    def is_met(job: str, condition: str) -> bool:
        key = (job, condition)
        if key not in met:
            met[key] = all(_holds(state, condition) for state in cluster.job(job))
        return met[key]

    return [
        state
        for state in cluster.tasks.values()
        if state.phase in UNSTARTED
        and not state.beginning
        and state.start_at <= now
        and not (state.in_order and ending_together)
        and all(is_met(job, condition) for job, condition in awaited(cluster, state).items())
    ]


def awaited(cluster: ClusterState, state: TaskState) -> dict[str, Condition]:
    """The jobs that a task has to wait for, and the state they must reach.

    In its first life, all that it comes after; together with others, those of them that are started
    again, too; alone, nothing.
    """
    if state.phase == State.WAITING:
        return state.task.after
    if not state.in_order:
        return {}
    return {
        job: condition
        for job, condition in state.task.after.items()
        if any(other.task.member for other in cluster.job(job))
    }


def _holds(state: TaskState, condition: str) -> bool:
    if state.phase == State.SUCCEEDED:
        return True
    if condition == "started":
        return state.lasts
    return condition == "ready" and state.used
