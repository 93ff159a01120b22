"""`tenfold down`: stop a run and all its processes."""

from __future__ import annotations

from typing import Any

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
            print_json(ended if every_run or not ended else ended[0])

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
    from tenfold.run.rundir import read_json

    over = (read_json(run.status) or {}).get("state") in TERMINAL
    return not over and "cell" in files.directories(run.path)


def _stop(run: RunDirectory, kill: bool) -> dict[str, Any]:
    from tenfold.bringup.api import Run, interrupt, sweep
    from tenfold.run.rundir import read_json

    say = err().print
    if not run.alive():
        say(f"{run.cluster} {run.run} is not running")
        if swept := sweep(run):
            say(f"removed its remains: {', '.join(swept)}")
        return Run(run).status()
    plan = read_json(run.plan) or {}
    grace_s = _grace_s(plan)
    say(f"stopping {run.cluster} {run.run}" + ("" if kill else f" (up to {limit_text(grace_s)})"))
    try:
        status = Run(run).stop(kill=kill, timeout_s=grace_s + _slack_s(plan))
    except (TimeoutError, TenfoldError):
        killed = interrupt(run)
        say(
            f"its supervisor does not respond: killed process {killed[0]}, which held its lock"
            if killed
            else "its supervisor does not respond, and no process on this machine holds its lock"
        )
        sweep(run)
        status = _ended(run)
    say(f"{run.cluster} is {status['state']}")
    return status


def _slack_s(plan: dict[str, Any]) -> float:
    """How long a supervisor may take beyond the grace.

    It waits for its last notification.
    """
    from tenfold.supervise.notifier import LIMIT_S

    return _SLACK_S + (LIMIT_S if plan.get("notify") else 0.0)


def _ended(run: RunDirectory) -> dict[str, Any]:
    from tenfold.bringup.api import Run

    try:
        return Run(run).wait(_SLACK_S)
    except TimeoutError as error:
        raise TenfoldError(
            f"{run.cluster} {run.run} has not stopped",
            hint="check it with `tenfold ps`, then retry `tenfold down`",
            cause=error,
        ) from error


def _grace_s(plan: dict[str, Any]) -> float:
    said = plan.get("stop_grace_s")
    return float(said) if isinstance(said, (int, float)) else 10.0
