"""`tenfold stacks`: show stack traces of all tasks."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tenfold.cli.common import (
    cluster_option,
    find_run_and_tasks,
    json_option,
    out,
    print_json,
    runs_option,
    settle_run,
    tasks_argument,
)
from tenfold.errors import TenfoldError

if TYPE_CHECKING:
    from tenfold.debug.findings import Findings
    from tenfold.run.rundir import RunDirectory
    from tenfold.views.status import TaskView


@click.command("stacks")
@tasks_argument()
@cluster_option
@click.option(
    "--raw", is_flag=True, help="Print the output of faulthandler or py-spy for each task."
)
@click.option("--native", is_flag=True, help="Include frames of C and C++ (uses py-spy).")
@runs_option
@json_option
def command(
    tasks: tuple[str, ...],
    cluster: str | None,
    raw: bool,
    native: bool,
    runs: str | None,
    as_json: bool,
) -> None:
    """Show stack traces of all tasks, with identical ones grouped.

    Use it as tenfold stacks [CLUSTER] [TASK…]. The default is the newest running cluster. It also
    names suspicious tasks: tasks that are stopped, differ from the rest of their job, or have
    been silent for long.
    """
    from tenfold.views.stacks import show_raw, show_stacks
    from tenfold.views.status import status

    run, names = find_run_and_tasks(tasks, cluster, runs, up=True)
    settle_run(run)
    if not run.alive():
        raise TenfoldError(
            f"run {run.run} of {run.cluster} is not running",
            hint="see how it ended with `tenfold why`; reports of hangs are in hangs/ of the run",
        )
    now = status(run)
    found = _find(run, [task for task in now.tasks if task.task in names], native)
    if as_json:
        shown = now.to_json()
        head = {key: shown[key] for key in ("version", "cluster", "run", "state", "hang")}
        print_json(head | found.to_json(raw=raw))
    elif raw:
        show_raw(out(), found.tasks)
    else:
        show_stacks(out(), now, found)


def _find(run: RunDirectory, tasks: Sequence[TaskView], native: bool) -> Findings:
    from tenfold.cells import client
    from tenfold.cluster.cell_table import traits
    from tenfold.debug.collect import BOUND_ELSEWHERE_S, BOUND_S, StackTarget
    from tenfold.debug.findings import find
    from tenfold.run.planfile import read_plan

    plan = read_plan(run.plan)
    cell, facts = client(plan.cell), traits(plan.cell)
    here = socket.gethostname()
    wanted = [
        StackTarget(task.task, task.state, task.pid if task.host == here else None)
        for task in tasks
    ]
    return find(
        run,
        plan,
        wanted,
        lambda task, words: cell.beside(run, task, words),
        python=sys.executable if facts.shares_files else "python",
        bound_s=BOUND_ELSEWHERE_S if facts.renders else BOUND_S,
        native=native,
    )
