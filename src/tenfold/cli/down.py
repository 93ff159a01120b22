"""`tenfold down`: stop a run and all its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenfold.base.quantities import limit_text
from tenfold.cli.common import (
    cluster_argument,
    err,
    json_option,
    print_json,
    runs_option,
)
from tenfold.cli.selection import (
    choose_one,
    chosen_cluster,
    matching_runs,
    running,
    runs_directory,
)
from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory, find
from tenfold.run.states import TERMINAL

if TYPE_CHECKING:
    from tenfold.run.planfile import PlanFile
    from tenfold.views.status import RunView

_SLACK_S = 10.0


def make_command(name: str) -> click.Command:
    """The command, which is called `down` and `stop`."""

    @click.command(name)
    @cluster_argument
    @click.option("--kill", is_flag=True, help="Kill all processes immediately.")
    @click.option("--all", "every_run", is_flag=True, help="Stop all running clusters.")
    @runs_option
    @json_option
    def made(
        cluster: str | None, kill: bool, every_run: bool, runs: str | None, as_json: bool
    ) -> None:
        """Stop a run: send SIGTERM, wait for the grace period, send SIGKILL.

        CLUSTER is the name of a cluster or CLUSTER/RUN-ID. It is not needed if only one run is
        up. If several are, the command lists them and stops none; choose one of them, or --all.
        Logs and all other files stay on disk. It is not an error if the run has already ended.
        """
        chosen = _chosen(name, cluster, every_run, runs)
        if not chosen:
            err().print(f"no cluster is running under {runs_directory(runs)}")
        ended = [_stop(run, kill) for run in chosen]
        if as_json:
            shown = [run.to_json() for run in ended]
            print_json(shown if every_run or not shown else shown[0])

    return made


def _chosen(
    verb: str, cluster: str | None, every_run: bool, flag: str | None
) -> list[RunDirectory]:
    """The runs to stop. Raises InputError if it is not clear which one is meant."""
    runs, cluster = runs_directory(flag), chosen_cluster(cluster)
    if "/" in (cluster or ""):
        return [find(runs, cluster)]
    found = matching_runs(runs, cluster)
    if every_run or not (cluster or found):
        return [run for run in found if run in running([run]) or _may_be_left(run)]
    up = running(found)
    if len(up) > 1:
        what = f"runs of {cluster} are up" if cluster else "runs are up"
        return [choose_one(up, verb, cluster, what)]
    return up or [find(runs, cluster)]


command = make_command("down")


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
    plan = PlanFile.of(run.plan)
    grace_s = plan.stop_grace_s
    say(f"stopping {run.cluster} {run.run}" + ("" if kill else f" (up to {limit_text(grace_s)})"))
    try:
        ended = Run(run).stopped(kill=kill, timeout_s=grace_s + _slack_s(plan))
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


def _slack_s(plan: PlanFile) -> float:
    """How long a supervisor may take beyond the grace.

    It waits for its last notification.
    """
    from tenfold.supervise.notifier import LIMIT_S

    return _SLACK_S + (LIMIT_S if plan.notify is not None else 0.0)


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
