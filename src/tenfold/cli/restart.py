"""`tenfold restart`: start tasks anew, in their place."""

from __future__ import annotations

import click

from tenfold.cli.common import (
    cluster_option,
    err,
    find_run_and_tasks,
    runs_option,
    tasks_argument,
)
from tenfold.errors import TenfoldError


@click.command("restart")
@tasks_argument(required=True)
@cluster_option
@runs_option
def command(tasks: tuple[str, ...], cluster: str | None, runs: str | None) -> None:
    """Start tasks anew, in their place: the same address, the same environment."""
    from tenfold.supervise import control

    run, names = find_run_and_tasks(tasks, cluster, runs, up=True)
    answer = control.ask(run, "restart", tasks=names)
    if answer.get("refused"):
        raise TenfoldError(
            f"cannot restart {', '.join(answer['refused'])}: the run is ending",
            hint="tenfold up starts it again",
        )
    err().print(f"restarting {', '.join(names)}")
