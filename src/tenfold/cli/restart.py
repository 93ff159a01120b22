"""`tenfold restart`: restart tasks."""

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
    """Restart tasks with the same address and environment."""
    from tenfold.supervise import control

    run, names = find_run_and_tasks(tasks, cluster, runs, up=True)
    answer = control.ask(run, "restart", tasks=names)
    if answer.get("refused"):
        raise TenfoldError(
            f"cannot restart {', '.join(answer['refused'])}: the cluster is stopping",
            hint="start it again with `tenfold up`",
        )
    err().print(f"restarting {', '.join(names)}")
