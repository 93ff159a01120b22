"""What changed in a run between two looks, as events of its stream.

Owns: what is worth telling. A task is told whole when anything of it changed but the last digits
of what it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tenfold.views.live import LiveRun, LiveTask

_NOISE = {"memory": 1 << 20, "cpu": 0.01, "cpu_s": 1e9}
"""The minimum differences of a task's fields that are sent."""

_STILL = {"connections": 0, "rate_bytes_s": 0.0, "rate_to": 0.0, "rate_from": 0.0}


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


def map_changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The event `map`: new edges, groups and states.

    All of them without a `before`.
    """
    if before is after:
        return None
    edges = _changed(before, after, "edges", ("from", "to"), ())
    edges = [*edges, *_gone(before, after)]
    groups = _changed(before, after, "groups", ("from", "to"), ())
    tasks = _changed(before, after, "tasks", ("task",), ("job", "index"))
    if before is not None and not (edges or groups or tasks):
        return None
    return {
        "seconds": after["seconds"],
        "time": after["time"],
        "edges": edges,
        "groups": groups,
        "tasks": [{"task": task["task"], "state": task["state"]} for task in tasks],
    }


def _changed(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    name: str,
    key: tuple[str, ...],
    unimportant: tuple[str, ...],
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = after[name]
    if before is None:
        return items
    known = {tuple(item[part] for part in key): item for item in before[name]}
    return [item for item in items if _is_new(known.get(_key(item, key)), item, unimportant)]


def _key(item: Mapping[str, Any], key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item[part] for part in key)


def _is_new(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], unimportant: tuple[str, ...]
) -> bool:
    if before is None:
        return True
    return before is not after and any(
        value != before.get(name) for name, value in after.items() if name not in unimportant
    )


def _gone(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Edges that no longer exist.

    They were not planned, are closed again, and no byte was ever counted.
    """
    if before is not None:
        there = {(edge["from"], edge["to"]) for edge in after["edges"]}
        for edge in before["edges"]:
            if (edge["from"], edge["to"]) not in there:
                yield edge | _STILL
