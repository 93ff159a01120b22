"""Where each variable is placed, and the role of each task.

Puts together what the tasks told (`placement.json`, written by `tenfold.tensorflow`), and says in
words what the plan knows of every task's work. What nobody told and no plan says is not guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.base.naming import job_of, label_of, name_of
from tenfold.frameworks import Framework, framework_of
from tenfold.frameworks.ranks import is_member
from tenfold.frameworks.tensorflow import CHIEFS
from tenfold.run import files
from tenfold.run.jsonfiles import Problems
from tenfold.run.placements import PlacedVariable, Placement
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class _Shown:
    """A part of a variable, and the tasks that hold a copy of it besides its own."""

    variable: PlacedVariable
    also_on: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return self.variable.to_json() | {"also_on": self.also_on}


def placement(run: RunDirectory) -> dict[str, Any]:
    """Where the variables of a run are placed, during the run and after it.

    A task has reported this.

    `{version, told_by: "chief/0"|None, variables: […], servers: [{task, bytes, parts}],
    balance, workers: [{task, role, bytes}], damaged}`:

    - `variables` are those of placement.json, one a part, and `also_on`: the tasks that hold a
      copy of the same (mirrored training), besides `task`. `told_by` told the first of them.
    - `servers` are the parameter servers of the plan, those without variables too.
    - `balance` is the fullest server's bytes over their mean: 1.0 is even; None without bytes.
    - `workers` are all other tasks but services: what each does, in words, and the bytes of
      variables on itself, None if nothing is known of any.
    """
    problems = Problems()
    plan = PlanFile.of(run.plan, problems)
    tasks = _tasks(plan, run)
    paths = ((task, run.task(label_of(task)).placement) for task in tasks)
    read = ((task, Placement.read(path, problems)) for task, path in paths)
    told = {task: found.variables for task, found in read if found and found.variables}
    variables = _merged(told)
    return {
        "version": 1,
        "told_by": next(iter(told), None),
        "variables": [shown.to_json() for shown in variables],
        "servers": (servers := _servers(tasks, variables)),
        "balance": _balance([server["bytes"] for server in servers]),
        "workers": _workers(framework_of(plan.framework), tasks, variables),
        "damaged": {str(path): what for path, what in problems.found.items()},
    }


def _tasks(plan: PlanFile, run: RunDirectory) -> list[str]:
    """Names of the tasks in the plan's order.

    Without a plan, names of the tasks that left something.
    """
    if plan.tasks is None:
        return [name_of(task.label) for task in run.tasks()]
    return _attached_first([task.task for task in plan.tasks], run)


def _attached_first(names: list[str], run: RunDirectory) -> list[str]:
    """The tasks, with a notebook as the chief first. No plan has that one."""
    chiefs = (
        f"{job}/0" for job in CHIEFS if files.exists(run.task(label_of(f"{job}/0")).placement)
    )
    return [*(name for name in chiefs if name not in names), *names]


def _merged(told: Mapping[str, Iterable[PlacedVariable]]) -> list[_Shown]:
    """All variables.

    Variables that several tasks report alike count once.
    """
    merged: list[_Shown] = []
    seen: dict[tuple[object, ...], _Shown] = {}
    for teller, variables in told.items():
        count: Counter[tuple[object, ...]] = Counter()
        for one in variables:
            shown = _Shown(one)
            if one.task != teller:
                merged.append(shown)
                continue
            what = (one.name, str(one.shape), one.dtype)
            count[what] += 1
            first = seen.setdefault((*what, count[what]), shown)
            if first is shown:
                merged.append(shown)
            else:
                first.also_on.append(teller)
    return merged


def _servers(tasks: Iterable[str], variables: Iterable[_Shown]) -> list[dict[str, Any]]:
    held = _held(variables)
    return [
        {"task": task, "bytes": sum(held[task]), "parts": len(held[task])}
        for task in tasks
        if job_of(task) == "ps"
    ]


def _held(variables: Iterable[_Shown]) -> dict[str | None, list[int]]:
    """The bytes of each part on each task, 0 if they are not known."""
    held: dict[str | None, list[int]] = defaultdict(list)
    for shown in variables:
        for task in (shown.variable.task, *shown.also_on):
            held[task].append(shown.variable.bytes or 0)
    return held


def _balance(bytes_each: list[int]) -> float | None:
    if not any(bytes_each):
        return None
    return round(max(bytes_each) * len(bytes_each) / sum(bytes_each), 4)


def _workers(
    framework: Framework, tasks: list[str], variables: Iterable[_Shown]
) -> list[dict[str, Any]]:
    held = _held(variables)
    words = dict(framework.roles([task for task in tasks if is_member(job_of(task))]))
    return [
        {"task": task, "role": role, "bytes": sum(held[task]) if task in held else None}
        for task, role in words.items()
    ]
