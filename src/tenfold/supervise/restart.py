"""Policy: whether a task that ended is started again, and when."""

from __future__ import annotations

from tenfold.supervise.state import TaskState

MAX_BACKOFF_S = 60.0

BAD_INPUT = 2
"""The exit code with which programs refuse their arguments (argparse, getopts, tenfold itself):
nothing that starting again could mend."""


def restart_at(state: TaskState) -> float | None:
    """When to start again a task that ended unasked (seconds since 1970); None: never.

    The pause doubles with every retry, up to a minute.
    """
    rule = state.task.restart
    if rule.policy == "never" or state.retries >= rule.limit or state.ended is None:
        return None
    if rule.policy == "on-failure" and state.phase == "succeeded":
        return None
    if rule.policy == "on-failure" and state.exit_code == BAD_INPUT:
        return None
    return state.ended + min(rule.backoff_s * 2.0**state.retries, MAX_BACKOFF_S)
