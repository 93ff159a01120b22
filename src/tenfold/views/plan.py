"""A plan on the terminal: the order of start, and a table of tasks.

Owns: folding tasks of a job that differ in nothing but their number into one row, and how a task
reads. Leaves to others: the plan itself; what is secret is hidden by its JSON form.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tenfold.cluster.cell_table import traits
from tenfold.cluster.scripts.wording import report
from tenfold.errors import printable
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan

MOST_ROWS = 20
"""The maximum number of rows of one job."""

Row = Mapping[str, Any]


class _Group(NamedTuple):
    """Consecutive tasks of one job with the same settings."""

    first: Row
    last: Row


def show_plan(out: Console, plan: Plan, not_inherited: Sequence[str] = ()) -> None:
    """Print `plan` for people.

    Also which variables of this shell its tasks do not inherit.
    """
    count = len(plan.tasks)
    out.print(
        Text(plan.shown(plan.cluster), "bold").append(
            f": {count} task{'' if count == 1 else 's'} on {plan.cell}, framework {plan.framework}",
            "default",
        )
    )
    out.print(_line("starts", " → ".join(", ".join(stage) for stage in plan.stages())))
    out.print(_line("succeeds", f"when {_and(plan.success)} finished" if plan.success else "never"))
    if plan.python is not None:
        out.print(_line("python", printable(plan.shown(plan.python.words()))))
        for note in plan.python.notes:
            out.print(_line("note", printable(plan.shown(note))))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("task", no_wrap=True)
    table.add_column("command", overflow="fold")
    table.add_column("after", overflow="fold")
    for job in plan.jobs():
        _add_job(table, [task for task in plan.to_json()["tasks"] if task["job"] == job])
    out.print(table)
    for name, words in _preloads(plan):
        out.print(_line(name, printable(plan.shown(words))))
    if not_inherited:
        words = f"{', '.join(not_inherited)}"
        words += ": tasks would join another cluster with them (set them in `env`)"
        out.print(_line("not inherited from this shell", words))


def _preloads(plan: Plan) -> Iterator[tuple[str, str]]:
    """Why the preload of a job is unusual because of its script, by job."""
    if not traits(plan.cell).forks or sys.platform != "linux":
        return
    frame = framework(plan.framework)
    for job, (task, *_) in plan.jobs().items():
        modules = frame.preload() if task.preload is None else task.preload
        if "${" not in task.workdir:
            home = Path(task.workdir)
            found = report(task.command, home, task.env, frame, job, modules)
            if found is not None:
                yield job, ("" if found.forked else "starts without a preload: ") + found.words


def _line(word: str, text: str) -> Text:
    return Text(f"  {word}: ", "dim").append(text, "default")


def _and(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]} have" if names[1:] else f"{names[0]} has"


def _add_job(table: Table, tasks: list[Row]) -> None:
    groups = list(_groups(tasks))
    for group in groups[:MOST_ROWS]:
        table.add_row(_name(group), _work(group.first), _after(group.first))
    if len(groups) > MOST_ROWS:
        rest = len(groups) - MOST_ROWS
        table.add_row(Text(f"… {rest} more", "dim"), Text("tenfold plan --json", "dim"), "")


def _groups(tasks: list[Row]) -> Iterator[_Group]:
    first = last = tasks[0]
    for task in tasks[1:]:
        if _same(first, task):
            last = task
            continue
        yield _Group(first, last)
        first = last = task
    yield _Group(first, last)


def _same(one: Row, other: Row) -> bool:
    apart = ("task", "index")
    return all(one[key] == other[key] for key in one if key not in apart)


def _name(group: _Group) -> Text:
    name = str(group.first["task"])
    if group.last is not group.first:
        name += f"–{group.last['index']}"
    return Text(name, "bold")


def _work(task: Row) -> Text:
    """The command, and below it the unusual settings of the task."""
    text = Text(printable(shlex.join(task["command"])))
    for name, value in task["env"].items():
        known = " (known once addresses are)" if value is None else f"={printable(value)}"
        text.append(f"\n{name}{known}", "dim")
    for key in ("ports", "cpu", "memory", "gpu"):
        if task[key]:
            text.append(f"\n{key}: {_setting(task[key])}", "dim")
    return text


def _setting(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {port or 'auto'}" for name, port in value.items())
    return str(value)


def _after(task: Row) -> Text:
    waits = task["after"].items()
    return Text(", ".join(f"{job} {condition}" for job, condition in waits), "default")
