"""`tenfold ps`: list the tasks of a run and their states, also after it ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli.common import (
    cluster_argument,
    find_run,
    json_option,
    out,
    print_json,
    runs_directory,
    runs_option,
    settle_run,
)
from tenfold.run.states import State

if TYPE_CHECKING:
    from tenfold.run.rundir import RunDirectory
    from tenfold.views.status import RunView


@click.command("ps")
@cluster_argument
@click.option("-a", "--all", "every_run", is_flag=True, help="List all runs, one per line.")
@runs_option
@json_option
def command(cluster: str | None, every_run: bool, runs: str | None, as_json: bool) -> None:
    """List the tasks of a run and their states.

    CLUSTER is the name of a cluster or CLUSTER/RUN-ID. The default is the newest run.
    """
    from tenfold.views.status import status

    if every_run:
        _list(runs_directory(runs), cluster, as_json)
        return
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


def _list(runs: Path, cluster: str | None, as_json: bool) -> None:
    from tenfold.run.rundir import every
    from tenfold.views.status import status
    from tenfold.views.tasks import show_runs

    chosen = list(every(runs, cluster))
    for run in chosen:
        settle_run(run)
    found = [status(run) for run in chosen]
    if as_json:
        shown = (run.to_json() for run in found)
        print_json([{key: run[key] for key in _BRIEF} for run in shown])
    else:
        show_runs(out(), found)


_BRIEF = ("version", "cluster", "run", "directory", "cell", "state", "reason", "started", "ended")
