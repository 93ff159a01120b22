"""Policy: which task to signal next while tasks end, and with which signal."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from tenfold.supervise.state import ClusterState, TaskState

SERVICE_SHARE = 0.5
"""The share of the grace that services wait for the other tasks.

A chief that saves its last checkpoint needs its parameter servers.
"""


@dataclass(frozen=True, slots=True)
class Signal:
    """Send `number` to `task`."""

    task: str
    number: int


def signals(cluster: ClusterState, now: float) -> list[Signal]:
    """The signals to send now.

    SIGTERM once, and SIGKILL once when the grace is over.

    Also to what a task's own process has left behind when it ended by itself.
    """
    stopping = cluster.stop_since is not None
    ending = [s for s in cluster.tasks.values() if s.to_end or (stopping and s.live)]
    found = (_next(cluster, state, now) for state in ending)
    return [signal for signal in found if signal is not None]


def unkillable(cluster: ClusterState, now: float) -> list[TaskState]:
    """Tasks that were killed long ago and have not ended.

    A process that sleeps in the kernel, on a dead disk say, ends when that answers, or never.
    """
    patience_s = cluster.patience.kill_s
    return [
        state
        for state in cluster.tasks.values()
        if state.live and state.killed is not None and now >= state.killed + patience_s
    ]


def _next(cluster: ClusterState, state: TaskState, now: float) -> Signal | None:
    if state.killed is not None:
        return None
    since = cluster.stop_since if cluster.stop_since is not None else state.told
    if cluster.kill or (since is not None and now >= since + cluster.plan.stop_grace_s):
        return Signal(state.task.name, signal.SIGKILL)
    if state.told is not None or _must_wait(cluster, state, now):
        return None
    return Signal(state.task.name, signal.SIGTERM)


def _must_wait(cluster: ClusterState, state: TaskState, now: float) -> bool:
    if cluster.stop_since is None or not state.task.service:
        return False
    if now >= cluster.stop_since + SERVICE_SHARE * cluster.plan.stop_grace_s:
        return False
    return any(other.live and not other.task.service for other in cluster.tasks.values())
