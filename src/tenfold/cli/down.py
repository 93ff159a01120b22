"""`tenfold down`: stop a run and all its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenfold.base.quantities import limit_text
from tenfold.cli.common import (
    cluster_argument,
    err,
    find_run,
    json_option,
    print_json,
    runs_directory,
    runs_option,
)
from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory, every
from tenfold.run.states import TERMINAL

if TYPE_CHECKING:
    from tenfold.views.status import RunView

_SLACK_S = 10.0


@click.command("down")
@cluster_argument
@click.option("--kill", is_flag=True, help="Kill all processes immediately.")
@click.option("--all", "every_run", is_flag=True, help="Stop all running clusters.")
@runs_option
@json_option
def command(
    cluster: str | None, kill: bool, every_run: bool, runs: str | None, as_json: bool
) -> None:
    """Stop a run: send SIGTERM, wait for the grace period, send SIGKILL.

    Without CLUSTER, stop the newest running cluster. Logs and all other files stay on disk. It
    is not an error if the run has already ended.
    """
    place = runs_directory(runs)
    if every_run or not (cluster or any(every(place))):
        chosen = [run for run in every(place, cluster) if run.alive() or _may_be_left(run)]
    else:
        chosen = [find_run(cluster, runs, up=True)]
    if not chosen:
        err().print(f"no cluster is running under {place}")
    ended = [_stop(run, kill) for run in chosen]
    if as_json:
        shown = [run.to_json() for run in ended]
        print_json(shown if every_run or not shown else shown[0])


def _may_be_left(run: RunDirectory) -> bool:
    """Whether the cell may still hold resources of a run whose supervisor has died."""
    from tenfold.run import files
    from tenfold.run.statusfiles import RunStatus

    status = RunStatus.read(run.status)
    over = status is not None and status.state in TERMINAL
    return not over and "cell" in files.directories(run.path)


def _stop(run: RunDirectory, kill: bool) -> RunView:
    from tenfold.bringup.api import Run, interrupt, sweep
    from tenfold.run.planfile import PlanFile

    say = err().print
    if not run.alive():
        say(f"{run.cluster} {run.run} is not running")
        if swept := sweep(run):
            say(f"removed its remains: {', '.join(swept)}")
        return Run(run).view()
    grace_s = PlanFile.of(run.plan).stop_grace_s
    say(f"stopping {run.cluster} {run.run}" + ("" if kill else f" (up to {limit_text(grace_s)})"))
    try:
        ended = Run(run).stopped(kill=kill, timeout_s=grace_s + _SLACK_S)
    except (TimeoutError, TenfoldError):
        killed = interrupt(run)
        say(
            f"its supervisor does not respond: killed process {killed[0]}, which held its lock"
            if killed
            else "its supervisor does not respond, and no process on this machine holds its lock"
        )
        sweep(run)
        ended = _ended(run)
    say(f"{run.cluster} is {ended.state}")
    return ended


def _ended(run: RunDirectory) -> RunView:
    from tenfold.bringup.api import Run

    try:
        return Run(run).awaited(_SLACK_S)
    except TimeoutError as error:
        raise TenfoldError(
            f"{run.cluster} {run.run} has not stopped",
            hint="check it with `tenfold ps`, then retry `tenfold down`",
            cause=error,
        ) from error
