"""Compare two runs: what was requested, and what came out.

Plans are compared as jobs, as the file has them: what all tasks of a job share is told once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tenfold.run.jsonfiles import Problems, read_json
from tenfold.run.rundir import RunDirectory
from tenfold.views.live import LiveReader, LiveRun, brief

MOST_DIFFERENCES = 500
"""The maximum number of differences reported. More of them do not help."""

_LEFT_OUT = ("version", "tasks", "cluster")
_OF_TASKS_LEFT_OUT = ("task", "job", "index")
_ABSENT = object()


def compare(one: RunDirectory, other: RunDirectory, training: Mapping[str, Any]) -> dict[str, Any]:
    """`{version, a, b, plan: [{path, a, b}], figures: [{name, a, b}], damaged, cut}`.

    `a` and `b` are the runs in a line each. In `plan` a value that is not there is null. `figures`
    are the last each run told: how long it took, what tasks told of their progress, and the last
    value of every curve. `training` holds what the training view says of both, by "a" and "b".
    """
    problems = Problems()
    plans = [read_json(run.plan, problems) or {} for run in (one, other)]
    lives = [LiveReader(run).read() for run in (one, other)]
    found = list(differences(*plans))
    figures = [
        dict(_figures(now, training.get(name))) for name, now in zip("ab", lives, strict=True)
    ]
    names = list(dict.fromkeys([*figures[0], *figures[1]]))
    told = {str(path): what for path, what in problems.found.items()}
    return {
        "version": 1,
        "a": brief(lives[0]).to_json(),
        "b": brief(lives[1]).to_json(),
        "plan": found[:MOST_DIFFERENCES],
        "figures": [{"name": n, "a": figures[0].get(n), "b": figures[1].get(n)} for n in names],
        "cut": len(found) > MOST_DIFFERENCES,
        "damaged": {**lives[0].damaged, **lives[1].damaged, **told},
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`{path, a, b}` of each difference between two plans.

    They are in the order of the first plan.
    """
    first, second = dict(_flat("", _by_job(one))), dict(_flat("", _by_job(other)))
    for path in dict.fromkeys([*first, *second]):
        a, b = first.get(path, _ABSENT), second.get(path, _ABSENT)
        if a != b:
            yield {"path": path, "a": _value(a), "b": _value(b)}


def _value(value: object) -> object:
    return None if value is _ABSENT else value


def _by_job(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan with `jobs` instead of its tasks."""
    jobs: dict[str, list[Mapping[str, Any]]] = {}
    tasks = plan.get("tasks")
    for task in tasks if isinstance(tasks, list) else []:
        if isinstance(task, dict):
            jobs.setdefault(str(task.get("job")), []).append(task)
    head = {key: value for key, value in plan.items() if key not in _LEFT_OUT}
    return head | {"jobs": {job: _job(own) for job, own in jobs.items()}}


def _job(tasks: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The number of tasks, and each field: once for all of them, or for each."""
    made: dict[str, Any] = {"tasks": len(tasks)}
    for field in dict.fromkeys(key for task in tasks for key in task):
        if field in _OF_TASKS_LEFT_OUT:
            continue
        values = [task.get(field) for task in tasks]
        if all(value == values[0] for value in values):
            made[field] = values[0]
        else:
            made[field] = {str(task.get("index")): task.get(field) for task in tasks}
    return made


def _flat(path: str, value: object) -> Iterator[tuple[str, Any]]:
    """Paths and plain values.

    A list of plain values is one value, as a command is.
    """
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for place, inner in enumerate(value):
            yield from _flat(f"{path}[{place}]", inner)
    else:
        yield path, value


def _figures(now: LiveRun, training: Any) -> Iterator[tuple[str, Any]]:
    if now.status.started is not None and now.end is not None:
        yield "seconds", round(now.end - now.status.started, 3)
    yield "restarts", sum(task.restarts for task in now.status.tasks)
    for task in now.tasks:
        if said := task.progress:
            yield f"{task.view.task} {said.unit}", said.done
            yield f"{task.view.task} {said.unit}/s", said.rate
            for name, value in said.figures.items():
                yield f"{task.view.task} {name}", value
    yield from _last_values(training)


def _last_values(training: Any) -> Iterator[tuple[str, Any]]:
    for run in (training or {}).get("runs", []):
        for curve in run["tags"]:
            finite = [
                v for v in curve["values"] if isinstance(v, (int, float)) and math.isfinite(v)
            ]
            if finite:
                yield f"{run['name']}/{curve['tag']}", finite[-1]
