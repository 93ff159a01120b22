"""Policy: which tasks may start now."""

from __future__ import annotations

from tenfold.supervise.state import ClusterState, TaskState


def may_start(cluster: ClusterState, now: float) -> list[TaskState]:
    """Tasks whose turn it is: what they come after has come, and their backoff is over."""
    met: dict[tuple[str, str], bool] = {}

    def is_met(job: str, condition: str) -> bool:
        key = (job, condition)
        if key not in met:
            met[key] = all(_holds(state, condition) for state in cluster.job(job))
        return met[key]

    return [
        state
        for state in cluster.tasks.values()
        if state.phase in {"waiting", "restarting"}
        and state.start_at <= now
        and (
            (state.phase == "restarting" and not state.in_order)
            or all(is_met(job, condition) for job, condition in state.task.after.items())
        )
    ]


def _holds(state: TaskState, condition: str) -> bool:
    if state.phase == "succeeded":
        return True
    if condition == "started":
        return state.live
    return condition == "ready" and state.used
