"""The exception that ended a task, from its run directory.

Owns reading what `run.logs.writer` kept of each stream. What is looked for is `tracebacks`'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import STREAMS
from tenfold.run.logs.tracebacks import Block, Broken, broken, from_json
from tenfold.run.rundir import TaskDirectory


def ended_by(directory: TaskDirectory) -> Broken | None:
    """The exception that ended the task's last life.

    None if it wrote none, or still runs.

    What is on stderr counts first: runtimes write there, and loggers that tell of what was caught
    often do not.
    """
    for stream in STREAMS[::-1]:
        blocks: list[Block] = from_json(read_json(directory.broken(stream)))
        if (found := broken(blocks)) is not None:
            return found
    return None


def masked(value: Any, shown: Callable[[str], str]) -> Any:
    """`value`, of JSON, with `shown` applied to every text."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {key: masked(one, shown) for key, one in value.items()}
    return [masked(one, shown) for one in value] if isinstance(value, list) else value
