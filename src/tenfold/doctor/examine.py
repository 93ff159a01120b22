"""All probes of `tenfold doctor`, run side by side, in the order of its output.

Owns: which probes there are, and which of them a plan needs. Leaves to others: the probes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tenfold.cells import client
from tenfold.cells.probing.ask import together
from tenfold.cells.probing.findings import Finding
from tenfold.cluster.cell_table import CELLS, traits
from tenfold.cluster.programs import is_python
from tenfold.cluster.python_choice import PythonChoice, detected
from tenfold.cluster.python_probe import examined
from tenfold.doctor import fit
from tenfold.doctor.gpus import gpus
from tenfold.doctor.machine import Machine, machine, measure
from tenfold.doctor.memory import memory_limits
from tenfold.doctor.packages import PACKAGES, package
from tenfold.doctor.together import combination
from tenfold.doctor.visible import NAMES, visible
from tenfold.planning.plan import Plan

Probe = Callable[[], list[Finding]]


def everything(runs: Path, *, deep: bool = False) -> list[Finding]:
    """Findings about this machine, every cell, every framework and the GPUs.

    Runs are kept in `runs`. Frameworks are imported, in children, where there is a GPU, or
    everywhere with `deep`. Call it before any thread is started.
    """
    here = [found for cell in CELLS if traits(cell).on_this_machine for found in _probe(cell)()]
    cells = [_probe(cell) for cell in CELLS if not traits(cell).on_this_machine]
    facts = measure()
    chosen = examined(detected(Path.cwd(), os.environ), Path.cwd())
    python = None if chosen.own or chosen.problem is not None else chosen.path
    first: list[Probe] = [
        lambda: [*machine(runs, facts), *python_of_tasks(chosen)],
        lambda: [memory_limits()],
        lambda: here,
    ]
    last: list[Probe] = [lambda: _packages(PACKAGES, python), lambda: combination(python)]
    count, found = _look([*first, *cells, *last])
    return _with_sight(found, NAMES, count, deep, python)


def for_plan(plan: Plan, runs: Path, *, deep: bool = False) -> list[Finding]:
    """Findings about this machine, and the cell and framework of `plan`.

    The rest as in `everything`.
    """
    probe = _probe(plan.cell, plan)
    if traits(plan.cell).on_this_machine:
        found_here = [*probe(), memory_limits()]
        probe = lambda: found_here  # noqa: E731
    facts, names = measure(), list(_needed_packages(plan))
    chosen = plan.python
    python = None if chosen is None or chosen.own else chosen.path
    first: list[Probe] = [lambda: [*machine(runs, facts), *python_of_tasks(chosen)], probe]
    count, found = _look([*first, lambda: _packages(names, python)])
    sight = _with_sight(found, [name for name in NAMES if name in names], count, deep, python)
    return sight + _fit(plan, facts, count, sight)


def runnable(findings: Iterable[Finding]) -> bool:
    """Whether a plan with these findings of `for_plan` can run.

    GPUs are never required for that.
    """
    return all(finding.usable for finding in findings if finding.area != "gpu")


def _look(probes: list[Probe]) -> tuple[int, list[Finding]]:
    """The number of GPUs, and all findings."""
    count = 0

    def cards() -> list[Finding]:
        nonlocal count
        found, words = gpus()
        count = len(found)
        return words

    found = [finding for each in together(*probes, cards) for finding in each]
    return count, found


def _probe(cell: str, plan: Plan | None = None) -> Probe:
    side = client(cell)
    return lambda: side.probe(plan)


def _packages(names: Iterable[str], python: str | None) -> list[Finding]:
    """Frameworks of the tasks' interpreter, and pages beside tenfold."""
    pages = _PAGES.values()
    return [package(name, None if name in pages else python) for name in names]


def python_of_tasks(chosen: PythonChoice | None) -> list[Finding]:
    """The interpreter that `python` means in commands, if it is not tenfold's own."""
    if chosen is None or (chosen.own and not chosen.notes):
        return []
    name = "python of tasks"
    words = "; ".join([f"{chosen.path}, from {chosen.source}", *chosen.notes])
    if chosen.problem is not None:
        hint = "name another one: python: PATH in the file, or TENFOLD_PYTHON"
        return [Finding("machine", name, "broken", chosen.version, chosen.problem, hint)]
    return [Finding("machine", name, "ok", chosen.version, words, None)]


_PAGES = {"tensorboard": "tensorboard", "jupyter": "jupyterlab"}


def _needed_packages(plan: Plan) -> Iterator[str]:
    """Modules that the plan's tasks and pages need."""
    if not traits(plan.cell).shares_files:
        return  # what is in an image, nobody here knows
    if plan.framework in PACKAGES and any(is_python(t.command) for t in plan.tasks):
        yield plan.framework
    for task in plan.tasks:
        if task.service and task.job in _PAGES:
            yield _PAGES[task.job]


def _with_sight(
    found: list[Finding], names: Iterable[str], count: int, deep: bool, python: str | None
) -> list[Finding]:
    """`found`, and which GPUs each present framework of `names` sees.

    A framework that cannot be imported takes the place of the one that was only seen.
    """
    if not count and not deep:
        return found
    usable = {finding.name for finding in found if finding.area == "framework" and finding.usable}
    probes = [_sight(name, count, python) for name in names if name in usable]
    seen = together(*probes)
    broken = {finding.name: finding for finding in seen if finding.area == "framework"}
    kept = [broken.get(f.name, f) if f.area == "framework" else f for f in found]
    return kept + [finding for finding in seen if finding.area == "gpu"]


def _sight(name: str, count: int, python: str | None) -> Callable[[], Finding]:
    return lambda: visible(name, count, python=python)


def _fit(plan: Plan, facts: Machine, count: int, found: list[Finding]) -> list[Finding]:
    if traits(plan.cell).on_this_machine:
        return fit.starts(plan, facts) + fit.fits(plan, fit.local_room(facts, count))
    if not all(each.usable for each in found if each.area == "cell"):
        return []
    side = client(plan.cell)
    room = side.room()
    return [*side.fit(plan), *(fit.fits(plan, room) if room else [])]
