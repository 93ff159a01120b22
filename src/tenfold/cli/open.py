"""`tenfold open`: open the dashboard in a browser, and serve it if needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tenfold.cli.common import (
    cluster_argument,
    err,
    find_run,
    json_option,
    out,
    print_json,
    runs_option,
)
from tenfold.cli.selection import chosen_cluster, runs_directory
from tenfold.errors import InputError

if TYPE_CHECKING:
    from tenfold.dashboard.launch import Claim, Running
    from tenfold.run.rundir import RunDirectory


@click.command("open")
@cluster_argument
@click.option("--port", type=click.IntRange(1, 65_535), help="Serve on this port.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@runs_option
@json_option
def command(
    cluster: str | None, port: int | None, no_browser: bool, runs: str | None, as_json: bool
) -> None:
    """Open the dashboard in a browser: map, tasks, logs and curves of all runs.

    CLUSTER is the name of a cluster or CLUSTER/RUN-ID. The default is the newest run. If no
    dashboard is running, this command serves it until Ctrl-C.
    """
    from tenfold.dashboard.launch import Running, claim

    place, run = _wanted(cluster, runs)
    taken = claim(place, port)
    serves = not isinstance(taken, Running)
    found = taken if isinstance(taken, Running) else taken.running(os.getpid())
    if as_json:
        print_json({"version": 1, "url": found.url(run), "pid": found.pid, "runs": str(place)})
    else:
        _tell(found, run, port, serves)
        if not no_browser and _has_display():
            import webbrowser

            webbrowser.open(found.url(run))
    if not isinstance(taken, Running):
        _serve(taken)


def _wanted(cluster: str | None, runs: str | None) -> tuple[Path, RunDirectory | None]:
    """The runs directory, and the run to show first if there is one."""
    try:
        run = find_run(cluster, runs)
    except InputError:
        if chosen_cluster(cluster) is not None:
            raise
        return runs_directory(runs).resolve(), None
    return run.path.parent.parent, run


def _tell(found: Running, run: RunDirectory | None, port: int | None, serves: bool) -> None:
    from tenfold.dashboard.launch import tunnel

    out().print(found.url(run))
    if port not in (None, found.port):
        err().print(
            f"the dashboard already runs on port {found.port}; "
            f"to change the port, end process {found.pid} first"
        )
    if os.environ.get("SSH_CONNECTION"):
        err().print(f"first, on your own machine: {tunnel(found.port)}")
    if serves:
        err().print("serving the dashboard; press Ctrl-C to stop it (clusters keep running)")


def _has_display() -> bool:
    if os.environ.get("SSH_CONNECTION") and not os.environ.get("DISPLAY"):
        return False
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _serve(taken: Claim) -> None:
    from tenfold.dashboard.server import serve

    sys.stdout.flush()
    try:
        serve(taken, ends_alone=False)
    except KeyboardInterrupt:
        err().print("the dashboard has stopped")
