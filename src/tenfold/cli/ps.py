"""`tenfold ps`: list the tasks of a run and their states, also after it ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli.common import (
    cluster_argument,
    complete_tag,
    find_run,
    json_option,
    out,
    print_json,
    runs_option,
    settle_run,
)
from tenfold.cli.selection import chosen_cluster, matching_runs, runs_directory
from tenfold.errors import InputError
from tenfold.run.states import State

if TYPE_CHECKING:
    from tenfold.run.rundir import RunDirectory
    from tenfold.views.status import RunView


@click.command("ps")
@cluster_argument
@click.option("-a", "--all", "every_run", is_flag=True, help="List all runs, one per line.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=complete_tag,
    help="With --all: list only runs with this tag. Can be repeated.",
)
@runs_option
@json_option
def command(
    cluster: str | None, every_run: bool, tags: tuple[str, ...], runs: str | None, as_json: bool
) -> None:
    """List the tasks of a run and their states.

    CLUSTER is the name of a cluster or CLUSTER/RUN-ID. The default is the newest run.
    """
    from tenfold.views.status import status

    if every_run:
        _list(runs_directory(runs), chosen_cluster(cluster), tags, as_json)
        return
    if tags:
        raise InputError("--tag requires --all", hint="write tenfold ps --all --tag TAG")
    run = find_run(cluster, runs)
    settle_run(run)
    shown = status(run)
    headline = _headline(run, shown)
    if as_json:
        print_json(shown.to_json() | {"headline": headline})
        return
    from tenfold.views.tasks import show_run

    show_run(out(), shown, headline)


def _headline(run: RunDirectory, shown: RunView) -> str | None:
    """The first line of `why` if the run failed."""
    if shown.state != State.FAILED:
        return None
    from tenfold.views.headline import headline  # it reads far more than the rest of this

    return headline(run, shown)


def _list(runs: Path, cluster: str | None, tags: tuple[str, ...], as_json: bool) -> None:
    from tenfold.views.runlist import has_tags, listed, show_runs

    chosen = [run for run in matching_runs(runs, cluster) if has_tags(run, tags)]
    for run in chosen:
        settle_run(run)
    found = [listed(run) for run in chosen]
    if as_json:
        print_json([run.to_json() for run in found])
    else:
        show_runs(out(), found)
