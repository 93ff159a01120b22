"""`tenfold plan`: show what `up` would start, without starting it."""

from __future__ import annotations

from pathlib import Path

import click

from tenfold.cli.common import (
    console,
    file_argument,
    json_option,
    not_inherited,
    on_option,
    print_json,
    set_option,
)


@click.command("plan")
@file_argument
@set_option
@on_option
@json_option
def command(file: Path | None, overrides: tuple[str, ...], cell: str | None, as_json: bool) -> int:
    """Show what `tenfold up` would start: each task with its command and environment.

    This command changes nothing. Secrets are hidden. With --json, addresses that are not known
    yet are null. Below the plan, the command shows why `up` would refuse to start it here.
    """
    from tenfold.cells import client
    from tenfold.cluster import settings
    from tenfold.cluster.cell_table import traits
    from tenfold.cluster.check import faults_here
    from tenfold.cluster.file import load
    from tenfold.planning.planner import plan

    loaded = load(file, settings=overrides)
    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    made = plan(loaded, cell=place)
    made = client(place).accepted(made)
    if as_json:
        dropped = not_inherited(made.cell, made.framework)
        shown = {"cluster": made.shown(made.cluster), "not_inherited": dropped}
        print_json(made.to_json() | shown)
        return 0
    from tenfold.views.faults import show_faults
    from tenfold.views.plan import show_plan

    show_faults(console(stderr=True), list(loaded.warnings))
    show_plan(console(), made, not_inherited(made.cell, made.framework))
    if faults := faults_here(loaded, python=made.python) if traits(place).shares_files else []:
        stderr = console(stderr=True)
        stderr.print("tenfold up will refuse to start this here:")
        show_faults(stderr, faults)
    return 0
