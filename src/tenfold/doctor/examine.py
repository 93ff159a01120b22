"""All probes of `tenfold doctor`, run side by side, in the order of its output.

Owns: which probes there are, and which of them a plan needs. Leaves to others: the probes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tenfold.cells import client
from tenfold.cells.probing.ask import together
from tenfold.cells.probing.findings import Finding
from tenfold.cluster.cell_table import CELLS, traits
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
    first: list[Probe] = [lambda: machine(runs, facts), lambda: [memory_limits()], lambda: here]
    count, found = _look([*first, *cells, lambda: _packages(PACKAGES), combination])
    return _with_sight(found, NAMES, count, deep)


def for_plan(plan: Plan, runs: Path, *, deep: bool = False) -> list[Finding]:
    """Findings about this machine, and the cell and framework of `plan`.

    The rest as in `everything`.
    """
    probe = _probe(plan.cell, plan)
    if traits(plan.cell).on_this_machine:
        found_here = [*probe(), memory_limits()]
        probe = lambda: found_here  # noqa: E731
    facts, names = measure(), list(_needed_packages(plan))
    first: list[Probe] = [lambda: machine(runs, facts), probe]
    count, found = _look([*first, lambda: _packages(names)])
    sight = _with_sight(found, [name for name in NAMES if name in names], count, deep)
    return sight + _fit(plan, facts, count, sight)


def runnable(findings: Iterable[Finding]) -> bool:
    """Whether a plan with these findings of `for_plan` can run.

    GPUs are never required for that.
    """
    return all(finding.usable for finding in findings if finding.area != "gpu")


def _look(probes: list[Probe]) -> tuple[int, list[Finding]]:
    """How many GPUs there are, and all findings."""
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


def _packages(names: Iterable[str]) -> list[Finding]:
    return [package(name) for name in names]


_PAGES = {"tensorboard": "tensorboard", "jupyter": "jupyterlab"}


def _needed_packages(plan: Plan) -> Iterator[str]:
    """Modules that the plan's tasks take from tenfold's own interpreter."""
    if not traits(plan.cell).shares_files:
        return  # what is in an image, nobody here knows
    if plan.framework in PACKAGES and any(_own_python(t.command[0]) for t in plan.tasks):
        yield plan.framework
    for task in plan.tasks:
        if task.service and task.job in _PAGES:
            yield _PAGES[task.job]


def _own_python(program: str) -> bool:
    return program == sys.executable or ("/" not in program and program.startswith("python"))


def _with_sight(
    found: list[Finding], names: Iterable[str], count: int, deep: bool
) -> list[Finding]:
    """`found`, and what each framework of `names` that is here sees of the GPUs.

    A framework that cannot be imported takes the place of the one that was only seen.
    """
    if not count and not deep:
        return found
    usable = {finding.name for finding in found if finding.area == "framework" and finding.usable}
    probes = [_sight(name, count) for name in names if name in usable]
    seen = together(*probes)
    broken = {finding.name: finding for finding in seen if finding.area == "framework"}
    kept = [broken.get(f.name, f) if f.area == "framework" else f for f in found]
    return kept + [finding for finding in seen if finding.area == "gpu"]


def _sight(name: str, count: int) -> Callable[[], Finding]:
    return lambda: visible(name, count)


def _fit(plan: Plan, facts: Machine, count: int, found: list[Finding]) -> list[Finding]:
    if traits(plan.cell).on_this_machine:
        return fit.starts(plan, facts) + fit.fits(plan, fit.local_room(facts, count))
    if not all(each.usable for each in found if each.area == "cell"):
        return []
    side = client(plan.cell)
    room = side.room()
    return [*side.fit(plan), *(fit.fits(plan, room) if room else [])]
