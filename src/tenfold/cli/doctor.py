"""`tenfold doctor`: check what works on this machine and how to fix the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli.common import (
    err,
    file_argument,
    json_option,
    on_option,
    out,
    print_json,
    runs_option,
    set_option,
)
from tenfold.errors import InputError, UnavailableError

if TYPE_CHECKING:
    from tenfold.cells.probing.findings import Finding
    from tenfold.cluster.file import Loaded
    from tenfold.planning.plan import Plan


@click.command("doctor")
@file_argument
@set_option
@on_option
@click.option("--deep", is_flag=True, help="Import the frameworks even if there is no GPU (slow).")
@runs_option
@json_option
def command(
    file: Path | None,
    overrides: tuple[str, ...],
    cell: str | None,
    deep: bool,
    runs: str | None,
    as_json: bool,
) -> int:
    """Check what works on this machine, and print the commands that fix the rest.

    With FILE, check whether that file can run here: its cell, its framework, and whether there
    are enough cores, memory, disk space and GPUs. With --on or --set, FILE defaults to
    ./tenfold.yaml. The exit code is 3 if the file cannot run here and 0 otherwise, even with
    warnings. Without FILE the exit code is always 0. This command starts, installs and changes
    nothing.
    """
    if file is None and cell is None and not overrides:
        return _of_machine(runs, deep, as_json)
    loaded, plan = _planned(file, overrides, cell)
    from tenfold.doctor.examine import for_plan, runnable
    from tenfold.views.doctor import show_findings, verdict

    placed, faults = _placed(loaded, plan)
    found = for_plan(placed, _runs(runs, plan.runs), deep=deep) + faults
    ok = runnable(found)
    if as_json:
        _print(found, ok)
    else:
        name = str(loaded.file or file)
        show_findings(out(), found, name)
        verdict(out(), found, name, plan.cell, ok)
    return 0 if ok else UnavailableError.exit_code


def _of_machine(runs: str | None, deep: bool, as_json: bool) -> int:
    from tenfold.doctor.examine import everything

    found = everything(_runs(runs, None), deep=deep)
    if as_json:
        _print(found, True)
        return 0
    from tenfold.views.doctor import show_findings

    show_findings(out(), found)
    if err().is_terminal and Path("tenfold.yaml").is_file():
        words = "check whether the file can run here: tenfold doctor tenfold.yaml"
        err().print(err().paint(f"\n{words}", "dim"))
    return 0


def _runs(flag: str | None, file: str | None) -> Path:
    from tenfold.cluster import settings

    return Path(settings.resolve("runs", flag, {"runs": file}).value)


def _planned(
    file: Path | None, overrides: tuple[str, ...], cell: str | None
) -> tuple[Loaded, Plan]:
    from tenfold.cluster import settings
    from tenfold.cluster.file import load
    from tenfold.planning.planner import plan

    loaded = load(file, settings=overrides)
    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    return loaded, plan(loaded, cell=place)


def _placed(loaded: Loaded, plan: Plan) -> tuple[Plan, list[Finding]]:
    """The plan with its placement, and what the cell or a task is missing."""
    from tenfold.cells import client
    from tenfold.cells.probing.findings import Finding
    from tenfold.cluster.cell_table import traits
    from tenfold.cluster.check import faults_here

    here = traits(plan.cell).shares_files
    found = [
        Finding("file", fault.path, "broken", None, fault.message, fault.hint)
        for fault in (faults_here(loaded, python=plan.python) if here else ())
    ]
    try:
        return client(plan.cell).accepted(plan), found
    except InputError as error:
        found.append(Finding("file", plan.cell, "broken", None, error.message, error.hint))
        return plan, found


def _print(found: list[Finding], ok: bool) -> None:
    print_json({"version": 1, "findings": [finding.to_json() for finding in found], "ok": ok})
