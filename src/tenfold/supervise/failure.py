"""Policy: which death came first, and which only followed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tenfold.supervise.state import Death


def first_failure(deaths: Sequence[Death]) -> Death | None:
    """The earliest death that nobody recovered from; of a task that is needed, if there is one."""
    lasting = [death for death in deaths if not death.recovered]
    needed = [death for death in lasting if death.needed]
    return min(needed or lasting, key=lambda death: death.time, default=None)


def consequences(deaths: Sequence[Death]) -> list[Death]:
    """The lasting deaths after the first failure, in order, each task once."""
    first = first_failure(deaths)
    if first is None:
        return []
    later = {
        death.task: death
        for death in sorted(deaths, key=lambda death: death.time, reverse=True)
        if not death.recovered and death.task != first.task and death.time >= first.time
    }
    return sorted(later.values(), key=lambda death: death.time)


def recovered(deaths: Sequence[Death], task: str) -> list[Death]:
    """The same deaths, those of `task` marked as overcome: it is in use again."""
    return [replace(d, recovered=True) if d.task == task else d for d in deaths]
