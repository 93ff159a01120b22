"""What changed in a run between two looks, as events of its stream.

Owns: what is worth telling. A task is told whole when anything of it changed but the last digits
of what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tenfold.views.live import LiveRun, LiveTask
from tenfold.views.traffic import MapEdge, MapGroup, MapView

_NOISE = {"memory": 1 << 20, "cpu": 0.01, "cpu_s": 1e9}
"""The minimum differences of a task's fields that are sent."""

_Item = TypeVar("_Item", MapEdge, MapGroup)


def changes(before: LiveRun, after: LiveRun) -> dict[str, Any] | None:
    """The event `tasks` between two looks at a run: `{head, tasks}`.

    None if nothing has changed.

    `head` holds the top-level fields that changed.
    """
    old = before.head()
    head = {key: value for key, value in after.head().items() if old[key] != value}
    known = {task.view.task: task for task in before.tasks}
    tasks = [task.to_json() for task in after.tasks if _differs(known.get(task.view.task), task)]
    return {"head": head, "tasks": tasks} if head or tasks else None


def _differs(before: LiveTask | None, after: LiveTask) -> bool:
    if before is None or before.view != after.view or before.progress != after.progress:
        return True
    return any(
        _is_new_figure(getattr(before, name), getattr(after, name), least)
        for name, least in _NOISE.items()
    )


def _is_new_figure(before: float | None, after: float | None, least: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= least


def map_changes(before: MapView | None, after: MapView) -> dict[str, Any] | None:
    """The event `map`: new edges, groups and states.

    All of them without a `before`.
    """
    if before is after:
        return None
    old = before or MapView(after.cluster, after.run, None, 0.0, 0.0)
    edges = [*_new(old.edges, after.edges), *_gone(old.edges, after.edges)]
    groups = _new(old.groups, after.groups)
    known = {task.task: task.state for task in old.tasks}
    states = {t.task: t.state for t in after.tasks if known.get(t.task) != t.state}
    if before is not None and not (edges or groups or states):
        return None
    return {
        "seconds": after.seconds,
        "time": after.time,
        "edges": [edge.to_json() for edge in edges],
        "groups": [group.to_json() for group in groups],
        "tasks": [{"task": task, "state": state} for task, state in states.items()],
    }


def _new(before: Sequence[_Item], after: Sequence[_Item]) -> list[_Item]:
    known = {item.ends: item for item in before}
    return [i for i in after if (old := known.get(i.ends)) is not i and old != i]


def _gone(before: Sequence[MapEdge], after: Sequence[MapEdge]) -> Iterator[MapEdge]:
    """Edges that no longer exist.

    They were not planned, are closed again, and no byte was ever counted.
    """
    there = {edge.ends for edge in after}
    for edge in before:
        if edge.ends not in there:
            yield replace(edge, connections=0, rate_bytes_s=0.0, rate_to=0.0, rate_from=0.0)
