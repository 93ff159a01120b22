"""`tenfold check`: every fault and warning of a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.base.secrets import veiled_all
from tenfold.cli.common import (
    console,
    file_argument,
    json_option,
    not_inherited,
    on_option,
    print_json,
    set_option,
)
from tenfold.errors import Fault, InputError

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded


@click.command("check")
@file_argument
@set_option
@on_option
@json_option
def command(file: Path | None, overrides: tuple[str, ...], cell: str | None, as_json: bool) -> int:
    """Check FILE (default ./tenfold.yaml) and list all errors and warnings with their lines.

    The exit code is 2 if there is an error and 0 otherwise, even with warnings. For the local
    cell, commands and scripts must exist on this machine.
    """
    from tenfold.cluster.file import load

    loaded = None
    try:
        loaded = load(file, settings=overrides)
        faults, more = _here(loaded, cell)
    except InputError as error:
        if not as_json:
            raise
        faults = error.faults or (Fault(None, "", error.message, error.hint),)
        name, warnings = (loaded.cluster.cluster, loaded.warnings) if loaded else (None, ())
        print_json(_answer(file, name, faults, warnings))
        return InputError.exit_code
    warnings = (*loaded.warnings, *more)
    if as_json:
        told = _answer(loaded.file, loaded.cluster.cluster, faults, warnings)
        print_json(told | {"not_inherited": _not_inherited(loaded, cell)})
    else:
        _show(loaded, faults, warnings)
        if names := _not_inherited(loaded, cell):
            words = f"not inherited from this shell: {', '.join(names)} (set them in `env`)"
            console().print(words, markup=False, soft_wrap=True)
    return InputError.exit_code if faults else 0


def _here(loaded: Loaded, cell: str | None) -> tuple[tuple[Fault, ...], tuple[Fault, ...]]:
    """Faults and warnings that depend on what this machine has."""
    from tenfold.cells import client
    from tenfold.cells.local.requirements import missing_packages
    from tenfold.cluster import check_python, settings
    from tenfold.cluster.cell_table import traits
    from tenfold.cluster.check import faults_here
    from tenfold.cluster.file.places import Remark
    from tenfold.doctor.scripts import warnings_here
    from tenfold.planning.planner import plan

    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    made = plan(loaded, cell=place)  # refuses a cell that does not exist
    client(place).accepted(made)
    python = made.python
    if python is None:
        return (), tuple(check_python.unused(loaded, place))
    if not traits(place).on_this_machine:
        return (), ()
    faults = faults_here(loaded, python=python)
    if not faults:
        faults = [
            loaded.fault(Remark(("framework",), lack.message, lack.hint))
            for lack in missing_packages(made)
        ]
    warnings = [*check_python.warnings(loaded, python), *warnings_here(loaded, python)]
    return tuple(faults), tuple(warnings)


def _not_inherited(loaded: Loaded, cell: str | None) -> list[str]:
    from tenfold.cluster import settings

    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    return not_inherited(place, loaded.cluster.framework)


def _answer(
    file: Path | None, cluster: str | None, faults: Iterable[Fault], warnings: Iterable[Fault]
) -> dict[str, object]:
    return {
        "version": 1,
        "file": None if file is None else str(file),
        "cluster": veiled_all(cluster),
        "faults": [fault.to_json() for fault in faults],
        "warnings": [warning.to_json() for warning in warnings],
    }


def _show(loaded: Loaded, faults: tuple[Fault, ...], warnings: tuple[Fault, ...]) -> None:
    from tenfold.views.faults import show_faults

    show_faults(console(stderr=True), [*faults, *warnings])
    tasks = sum(job.tasks for job in loaded.cluster.jobs.values())
    counts = f"{_count(faults, 'fault')}, {_count(warnings, 'warning')}"
    jobs = _count(loaded.cluster.jobs, "job")
    size = f"{jobs}, {tasks} task{'' if tasks == 1 else 's'}"
    name = veiled_all(loaded.cluster.cluster)
    console().print(
        f"{loaded.file}: cluster {name}, {size}: {counts}", markup=False, soft_wrap=True
    )


def _count(things: Iterable[object], word: str) -> str:
    number = sum(1 for _ in things)
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
