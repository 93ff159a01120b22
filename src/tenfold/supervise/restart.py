"""Policy: whether a task that ended is started again, and when."""

from __future__ import annotations

from zlib import crc32

from tenfold.supervise.state import TaskState

MAX_BACKOFF_S = 60.0

JITTER = 0.25
"""At most so much of a pause is added to it, so that tasks which died together start apart."""


def restart_at(state: TaskState) -> float | None:
    """When to start again a task that ended unasked (seconds since 1970); None: never.

    The pause doubles with every restart within the rule's window, up to a minute and its jitter.
    A command that could not even be started will not be there the next time either.
    """
    rule = state.task.restart
    if state.ended is None or rule.policy == "never" or not _worth_it(state):
        return None
    spent = spent_restarts(state, state.ended)
    if spent >= rule.limit:
        return None
    pause_s = min(rule.backoff_s * 2.0**spent, MAX_BACKOFF_S)
    return state.ended + pause_s * (1 + JITTER * _chance(state.task.name, len(state.retried)))


def spent_restarts(state: TaskState, now: float) -> int:
    """How many restarts of the rule's limit are used up at `now`."""
    since = now - state.task.restart.window_s
    return sum(moment > since for moment in state.retried)


def _worth_it(state: TaskState) -> bool:
    code = state.exit_code if state.signal is None else 128 + state.signal
    if code is None:
        return False
    if state.task.restart.policy == "always":
        return True
    ended_well = state.phase == "succeeded"
    # Of a service that ends by itself the code says nothing: 0 is as bad as 1.
    told = 1 if state.task.service and code == 0 else code
    return not ended_well and any(low <= told <= high for low, high in state.task.restart.codes)


def _chance(name: str, number: int) -> float:
    """Between 0 and 1, the same each time a history is replayed."""
    return crc32(f"{name} {number}".encode()) / 2**32
