"""What several commands share: arguments, options, terminals, runs and tasks."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from tenfold.base.json_text import json_text
from tenfold.base.naming import job_of, label_of, name_of
from tenfold.cli.selection import (
    chosen_cluster,
    cluster_of_argument,
    file_of_argument,
    keep_cluster,
    runs_directory,
)
from tenfold.cluster import settings
from tenfold.run.rundir import RunDirectory, every, find

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rich.console import Console

    from tenfold.views.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])

file_argument = click.argument(
    "file", required=False, type=click.Path(path_type=Path), callback=file_of_argument
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one value of the file, such as jobs.worker.tasks=16. Can be repeated.",
)
on_option = click.option(
    "--on", "cell", metavar="CELL", help="Use this cell: local, docker, slurm or kubernetes."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
runs_option = click.option(
    "--runs", metavar="DIR", help="Use this directory for runs (default ./.tenfold/runs)."
)


def _complete_cluster(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete names of clusters, and after a `/` the runs of one."""
    del parameter

    def names() -> list[str]:
        cluster, slash, _ = incomplete.partition("/")
        if not slash:
            return sorted({run.cluster for run in every(_runs_of(ctx))})
        return [f"{run.cluster}/{run.run}" for run in every(_runs_of(ctx), cluster)]

    return _matching(incomplete, names)


def complete_tag(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete tags that runs have."""
    del parameter

    def names() -> list[str]:
        from tenfold.run.annotations import Annotations

        return sorted(
            {tag for run in every(_runs_of(ctx)) for tag in Annotations.read_of(run).tags}
        )

    return _matching(incomplete, names)


def _complete_task(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete task names, and job names where a whole job is allowed."""

    def names() -> list[str]:
        found = task_names(find_run(ctx.params.get("cluster"), ctx.params.get("runs")))
        jobs = list(dict.fromkeys(job_of(name) for name in found)) if parameter.nargs != 1 else []
        return [*jobs, *found]

    return _matching(incomplete, names)


def _matching(incomplete: str, names: Callable[[], list[str]]) -> list[CompletionItem]:
    """The matching names. Never raises: an error would appear in the line being typed."""
    from click.shell_completion import CompletionItem

    try:
        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]
    except Exception:
        return []


def _runs_of(ctx: click.Context) -> Path:
    return runs_directory(ctx.params.get("runs"))


_CLUSTER_HELP = "Use this cluster or CLUSTER/RUN-ID (default: the newest run)."
_cluster_as_well = click.option(
    "-c",
    "--cluster",
    "named_cluster",
    metavar="CLUSTER",
    shell_complete=_complete_cluster,
    help=_CLUSTER_HELP,
    expose_value=False,
    is_eager=True,
    callback=keep_cluster,
)


def cluster_argument(command: _Command) -> _Command:
    """The argument CLUSTER, which `-c CLUSTER` and `-f FILE` can replace."""
    argument = click.argument(
        "cluster",
        required=False,
        shell_complete=_complete_cluster,
        callback=cluster_of_argument,
    )
    return argument(_cluster_as_well(command))


def runs_argument(command: _Command) -> _Command:
    """The argument CLUSTER[/RUN-ID]…: several runs."""
    made = click.argument("named", nargs=-1, metavar="[CLUSTER[/RUN-ID]]...",
                          shell_complete=_complete_cluster)  # fmt: skip
    return made(command)


run_argument = click.argument("run", metavar="CLUSTER[/RUN-ID]", shell_complete=_complete_cluster)
cluster_option = click.option(
    "-c",
    "--cluster",
    metavar="CLUSTER",
    shell_complete=_complete_cluster,
    help=_CLUSTER_HELP,
)


task_argument = click.argument("task", shell_complete=_complete_task)


def tasks_argument(required: bool = False) -> Callable[[_Command], _Command]:
    """The TASK… argument: `worker/3`, `worker-3`, or a whole job, `worker`."""
    return click.argument("tasks", nargs=-1, required=required, shell_complete=_complete_task)


def find_run(cluster: str | None, flag: str | None = None, *, up: bool = False) -> RunDirectory:
    """The run that the user named. With `up`, the newest running one if there is any.

    If several are running, the choice is printed. Raises InputError if there is none.
    """
    runs, cluster = runs_directory(flag), chosen_cluster(cluster)
    if up and "/" not in (cluster or ""):
        chosen = list(every(runs, cluster))
        for run in chosen:
            settle_run(run)
        alive = [run for run in chosen if run.alive()]
        if alive:
            newest = max(alive, key=lambda run: run.run)
            if len(alive) > 1:
                name = f"{newest.cluster}/{newest.run}"
                words = f"{len(alive)} runs are up; this is {name} (choose with -c CLUSTER/RUN-ID)"
                err().print(err().paint(words, "dim"))
            return newest
    return find(runs, cluster)


def settle_run(run: RunDirectory) -> None:
    """Update the run directory of a run whose supervisor is on another machine."""
    if run.is_elsewhere():
        from tenfold.bringup.api import settle

        settle(run)


def task_names(run: RunDirectory) -> list[str]:
    """The names of a run's tasks in display order.

    Without a plan, they come from the run's directories.
    """
    from tenfold.run.planfile import PlanFile

    planned = PlanFile.of(run.plan).tasks
    if planned is None:
        return [name_of(task.label) for task in run.tasks()]
    return [task.task for task in planned]


def choose_tasks(run: RunDirectory, wanted: tuple[str, ...]) -> list[str]:
    """The names of the tasks that the user named, each once.

    All tasks if none is named.

    Raises InputError for a name that is neither a task nor a job.
    """
    names = task_names(run)
    if not wanted:
        return names
    chosen = []
    for word in wanted:
        found = [n for n in names if word in (n, label_of(n), job_of(n))]
        if not found:
            _refuse_task(run, word, names)
        chosen += found
    return list(dict.fromkeys(chosen))


def find_run_and_tasks(
    words: tuple[str, ...], cluster: str | None, flag: str | None = None, *, up: bool = False
) -> tuple[RunDirectory, list[str]]:
    """The run and its tasks for `[CLUSTER] [TASK…]`.

    A word that names a task is a task.

    Raises InputError for a word that names neither.
    """
    from tenfold.errors import InputError

    run = find_run(cluster, flag, up=up)
    try:
        return run, choose_tasks(run, words)
    except InputError:
        if cluster is not None:
            raise
        with contextlib.suppress(InputError):
            run = find_run(words[0], flag, up=up)
            words = words[1:]
        return run, choose_tasks(run, words)


def _refuse_task(run: RunDirectory, word: str, names: list[str]) -> NoReturn:
    from difflib import get_close_matches

    from tenfold.errors import InputError, shown

    near = get_close_matches(word, [*names, *{job_of(name) for name in names}], 1)
    hint = f"did you mean {near[0]}?" if near else "list the tasks with `tenfold ps`"
    raise InputError(f"{run.cluster} has no task {shown(word)}", hint=hint)


def seconds(text: str, what: str, hint: str = "write 90, 90s, 5m or 1h30m") -> float:
    """Parse `90`, `5m` or `1h30m` as seconds.

    Raises InputError that starts with `what`.
    """
    from tenfold.base.quantities import parse_duration
    from tenfold.errors import InputError, shown

    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    found = parse_duration(text)
    if found is None:
        raise InputError(f"invalid value for {what}: {shown(text)}", hint=hint)
    return found


def out() -> Terminal:
    """The terminal for the output that was asked for: stdout."""
    return _terminal(stderr=False)


def err() -> Terminal:
    """The terminal for progress and notes: stderr."""
    return _terminal(stderr=True)


def _terminal(*, stderr: bool) -> Terminal:
    from tenfold.views.terminal import Terminal

    return Terminal(sys.stderr if stderr else sys.stdout, _color())


def _color() -> str:
    context = click.get_current_context(silent=True)
    flag = (context.find_root().obj or {}).get("color") if context else None
    return settings.resolve("color", flag).value


def console(*, stderr: bool = False) -> Console:
    """A rich console for output that needs a layout."""
    from tenfold.views.terminal import console as make

    return make(_color(), stderr=stderr)


def print_json(value: object) -> None:
    """Print one JSON value: indented on a terminal, otherwise in one line."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json_text(value, indent=indent))


def not_inherited(cell: str, framework: str) -> list[str]:
    """Names of variables of this shell that tasks on `cell` would not inherit."""
    from tenfold.cluster.cell_table import traits
    from tenfold.tasks.inherited import dropped

    return dropped(os.environ, cell, framework) if traits(cell).shares_files else []
