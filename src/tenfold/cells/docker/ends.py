"""Why a container ended, as far as the engine knows.

The causes are lack of memory, removal by hand, and an engine that has gone.

Owns the words. Leaves to others: hearing of ends (`docker`), and the true exit, which the task
runner tells.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tenfold.base.quantities import memory_value
from tenfold.cells import Ended
from tenfold.cells.docker.engine import EngineError, inspected
from tenfold.planning.plan import Task
from tenfold.tasks.memory import memory_end


def memory_words(task: Task) -> tuple[str, str]:
    """A message that the kernel killed for lack of memory, and what to do.

    The kill happened in the container of a task.
    """
    limit = f", {memory_value(task.memory)}" if task.memory else ""
    return (
        f"{task.name} has reached its memory limit{limit}, and the kernel killed a process",
        f"raise jobs.{task.job}.resources.memory",
    )


REMOVED: dict[str, Any] = {"ExitCode": 128 + signal.SIGKILL, "Status": "removing"}
"""The state of a container that no longer exists."""


def with_reason(ended: Ended, task: Task, state: Mapping[str, Any], *, engine_left: bool) -> Ended:
    """`ended` with the reason that the engine's State of its container shows.

    `engine_left`: it ended while the engine was away, which ends what it runs as it goes.
    """
    if state.get("OOMKilled"):
        if words := memory_end(1, task.memory, ended.exit_code, ended.signal):
            return replace(ended, reason=words, cause="oom")
    elif state.get("Status") in ("removing", "dead"):
        return replace(ended, reason="ended: its container was removed from outside",
                       cause="removed")  # fmt: skip
    elif engine_left:
        return replace(ended, reason="ended because the Docker engine stopped", cause="node")
    return ended


async def state_of(container: str) -> dict[str, Any]:
    """The engine's State of a container, removed ones included.

    Raises EngineError if the engine does not give it.
    """
    try:
        return await inspected(container)
    except EngineError as error:
        if not error.is_gone:
            raise
        return REMOVED
