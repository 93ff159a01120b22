"""Policy: which tasks were not ready in time."""

from __future__ import annotations

from tenfold.base.quantities import limit_text
from tenfold.run.states import State
from tenfold.supervise.state import ClusterState, TaskState


def overdue(cluster: ClusterState, now: float) -> list[TaskState]:
    """Tasks that have run for the whole of their readiness timeout and are not ready."""
    return [
        state
        for state in cluster.tasks.values()
        if state.phase == State.STARTING
        and not state.unready
        and state.task.ready is not None
        and state.started is not None
        and now >= state.started + state.task.ready.timeout_s
    ]


def words(state: TaskState) -> str:
    """The problem of such a task, for a sentence that begins with its name."""
    ready = state.task.ready
    waited = limit_text(ready.timeout_s) if ready else "its time"
    return f"was not ready after {waited}" + (f": {state.waits}" if state.waits else "")
