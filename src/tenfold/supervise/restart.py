"""Policy: whether and when a task that ended is restarted."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from tenfold.supervise.failure import sharing
from tenfold.supervise.state import ClusterState, TaskState

MAX_BACKOFF_S = 60.0

JITTER = 0.25
"""The maximum share of a pause that is added to it at random.

Tasks that died together then start apart.
"""


def restart_at(cluster: ClusterState, state: TaskState) -> float | None:
    """When to restart a task that ended unasked (seconds since 1970), or None.

    The pause doubles with every restart within the rule's window, up to a minute and its jitter.
    A command that could not even be started will not be there the next time either.
    """
    rule = state.task.restart
    if state.ended is None or rule.policy == "never" or not _worth_it(state):
        return None
    spent = spent_restarts(sharing(cluster, state), state.ended)
    if spent >= rule.limit:
        return None
    pause_s = min(rule.backoff_s * 2.0**spent, MAX_BACKOFF_S)
    return state.ended + pause_s * (1 + JITTER * _chance(state.task.name, len(state.retried)))


def spent_restarts(states: Iterable[TaskState], now: float) -> int:
    """The number of restarts of these tasks within their rules' windows at `now`."""
    return sum(len(unforgiven(state, now)) for state in states)


def unforgiven(state: TaskState, now: float) -> list[float]:
    """When the task was restarted after failures that still count at `now`."""
    since = now - state.task.restart.window_s
    return [moment for moment in state.retried if moment > since]


def _worth_it(state: TaskState) -> bool:
    rule = state.task.restart
    code = state.exit_code if state.signal is None else 128 + state.signal
    if code is None:
        return False
    if rule.policy == "always" or state.unready:
        return True
    if code == 0:  # a service is not to end; but one that a training shares may end with it
        return state.task.service and rule.scope == "task" and _is_in(1, rule.codes)
    return _is_in(code, rule.codes)


def _is_in(code: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(low <= code <= high for low, high in ranges)


def _chance(name: str, number: int) -> float:
    """A number between 0 and 1, the same each time a history is replayed."""
    return crc32(f"{name} {number}".encode()) / 2**32
