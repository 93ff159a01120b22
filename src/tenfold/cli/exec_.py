"""`tenfold exec`: run a command in the environment of a task."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import click

from tenfold.base.naming import label_of
from tenfold.cli.common import (
    choose_tasks,
    cluster_option,
    find_run,
    runs_option,
    task_argument,
)
from tenfold.errors import InputError, TenfoldError
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory


@click.command("exec", context_settings={"allow_interspersed_args": False})
@task_argument
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
@cluster_option
@runs_option
def command(task: str, words: tuple[str, ...], cluster: str | None, runs: str | None) -> int:
    """Run a command next to a task: tenfold exec worker/3 -- python client.py

    The command runs in the network, process namespace, environment and working directory of the
    task, and uses this terminal. Put options of tenfold before TASK. The exit code is that of the
    command.
    """
    words = words[1:] if words[0] == "--" else words
    if not words:
        raise InputError("no command is given", hint=f"write tenfold exec {task} -- COMMAND")
    from tenfold.launch import signals
    from tenfold.launch.enter import require_pid, run_beside
    from tenfold.run.statusfiles import TaskStatus

    run = find_run(cluster, runs, up=True)
    names = choose_tasks(run, (task,))
    if not run.alive():
        raise TenfoldError(
            f"run {run.run} of {run.cluster} is not running",
            hint="see how it ended with `tenfold ps`, start it with `tenfold up`",
        )
    if len(names) > 1:
        raise InputError(f"{task} has {len(names)} tasks", hint=f"name one: {names[0]}")
    if remote := _elsewhere(run, names[0], words):
        signals.before_exec(keep=frozenset({signal.SIGHUP}))  # nohup's
        os.execvp(remote[0], remote)
    status = TaskStatus.read(run.task(label_of(names[0])).status)
    pid = require_pid(names[0], status and status.pid, run.lock)
    return run_beside(pid, words, dict(os.environ), _workdir(run, names[0]))


def _elsewhere(run: RunDirectory, name: str, words: tuple[str, ...]) -> list[str] | None:
    """The command that runs `words` next to a task that is not a local process."""
    from tenfold.cells import client

    cell = PlanFile.of(run.plan).cell
    return client(cell).beside(run, name, words) if cell is not None else None


def _workdir(run: RunDirectory, name: str) -> Path:
    workdir = Path(PlanFile.of(run.plan).task(name).workdir or ".")
    return workdir if workdir.is_dir() else Path.cwd()
