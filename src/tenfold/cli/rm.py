"""`tenfold rm`: remove runs that have ended, by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from tenfold.cli.common import json_option, runs_argument, runs_option
from tenfold.cli.selection import choose_one, chosen_cluster, matching_runs, runs_directory
from tenfold.errors import InputError
from tenfold.retention.selection import by_name
from tenfold.run.rundir import RunDirectory, find


@click.command("rm")
@runs_argument
@click.option("--all", "every_run", is_flag=True, help="Remove all ended runs of the clusters.")
@click.option(
    "--force", is_flag=True, help="Remove the last complete checkpoint of a cluster, too."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@runs_option
@json_option
def command(
    named: tuple[str, ...],
    every_run: bool,
    force: bool,
    dry_run: bool,
    yes: bool,
    runs: str | None,
    as_json: bool,
) -> int:
    """Remove runs that have ended, with their logs and checkpoints.

    Name each as CLUSTER/RUN-ID. CLUSTER alone is enough if it has one run only. A run that is up
    stays: stop it first with `tenfold stop`.
    """
    from tenfold.cli.removing import remove

    place = runs_directory(runs)
    if not named and (cluster := chosen_cluster(None)) is not None:
        named = (cluster,)
    if not named:
        raise InputError(
            "no run is named", hint="tenfold rm CLUSTER/RUN-ID; tenfold ps --all lists the runs"
        )
    chosen = by_name(place, _meant(place, named, every_run), force=force)
    code = remove(place, chosen, force=force, dry_run=dry_run, yes=yes, as_json=as_json)
    return 1 if chosen.kept and not every_run else code


def _meant(place: Path, named: Iterable[str], every_run: bool) -> list[RunDirectory]:
    """The runs that are named.

    Raises InputError if a cluster has several runs and `--all` is absent.
    """
    chosen: list[RunDirectory] = []
    for name in named:
        found = matching_runs(place, name) or [find(place, name)]
        if len(found) > 1 and not every_run:
            choose_one(found, "rm", name, f"runs of {name} exist")
        chosen += found
    return chosen
