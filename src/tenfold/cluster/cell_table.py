"""The table of cells, and what code outside a cell's folder may ask about a cell.

To add a cell, write a package as `tenfold.cells` describes and add one line to `CELLS`.
Nothing outside the package compares the name of a cell: it reads the cell's `CellTraits`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

CELLS = {
    "local": "tenfold.cells.local",
    "docker": "tenfold.cells.docker",
    "slurm": "tenfold.cells.slurm",
    "kubernetes": "tenfold.cells.kubernetes",
}
"""Name of each cell, and its package."""

DEFAULT = next(iter(CELLS))
"""The cell of a cluster for which nobody names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellTraits:
    """Facts that hold for every run on a cell.

    The package of a cell has one, called `TRAITS`.

    Attributes:
        where: where tasks run, as the end of a sentence: `on this machine`.
        on_this_machine: tasks are processes of this machine, started by the supervisor. Its
            cores, memory, ports and pids are theirs.
        shares_files: tasks see this machine's files and programs, and inherit the environment of
            `up`. Otherwise they see what their image holds.
        forks: Python tasks are forked from a process that has imported the framework.
        renders: the cell starts tasks from files that it renders. Secrets are handed over
            separately, because others can read those files.
        absolute: rendered files name paths of this machine, so a copy of them works only there.
        launcher_prefixes: beginnings of environment variables that the cell's batch system sets
            for tasks, so that tasks keep them.
        launcher_ranks: those of them that tasks do not keep: they give a rank to a process, and
            tenfold gives it another one.
    """

    where: str
    on_this_machine: bool = False
    shares_files: bool = False
    forks: bool = False
    renders: bool = True
    absolute: bool = False
    launcher_prefixes: tuple[str, ...] = ()
    launcher_ranks: frozenset[str] = frozenset()


def traits(cell: str) -> CellTraits:
    """The traits of a cell, one of `CELLS`. Raises KeyError for any other name."""
    found: CellTraits = importlib.import_module(CELLS[cell]).TRAITS
    return found


def runs_on_this_machine(cell: object) -> bool:
    """Whether the tasks of `cell` are processes of this machine.

    `cell` is a name as in a file.
    """
    return isinstance(cell, str) and cell in CELLS and traits(cell).on_this_machine
