"""A run as a table: what `tenfold ps` shows."""

from __future__ import annotations

import time
from pathlib import Path

from tenfold.base.quantities import duration_text
from tenfold.errors import printable
from tenfold.run.appending import has_room
from tenfold.run.states import State
from tenfold.views import notfinite
from tenfold.views.because import because
from tenfold.views.status import RunView, TaskView
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import STATE_COLOURS, Terminal, task_colour

STALE_S = 5.0

_TITLES = ("TASK", "STATE", "SINCE", "ADDRESS", "PID", "RESTARTS", "EXIT")


def show_run(out: Terminal, run: RunView, headline: str | None = None) -> None:
    """Print the run in a line or two, its tasks, and its pages.

    `headline` is that of a failed run (`views.headline`), or None.
    """
    out.print(_headline(out, run, headline))
    rows = [_row(task, run) for task in run.tasks]
    show_table(out, _TITLES, rows)
    for task in run.tasks:
        if task.url and task.state == State.RUNNING:
            out.print(f"{task.job}: {out.paint(task.url, 'underline')}")
    for task in run.tasks:
        if task.waits:
            words = printable(f"waiting for {task.task}: {task.waits}")
            out.print(out.paint(words, "yellow"))
    if hang := hang_words(run):
        out.print(out.paint(hang, "bold red"))
    if odd := notfinite.words(run.not_finite):
        out.print(out.paint(printable(odd), "bold yellow"))
    if run.age_s is not None and (full := full_words(run.directory)):
        out.print(out.paint(full, "bold red"))
    for path, what in run.damaged.items():
        out.print(out.paint(printable(f"damaged: {path} {what}"), "yellow"))


def _headline(out: Terminal, run: RunView, headline: str | None) -> str:
    state = run.state or "unknown"
    line = out.paint(run.cluster, "bold") + " " + out.paint(run.run, "dim")
    line += f"  {out.paint(state, STATE_COLOURS.get(state, ''))}"
    if words := because(run, headline):
        line += f": {printable(words)}"
    if run.age_s is not None:
        style = "bold yellow" if run.age_s > STALE_S else "dim"
        line += "  " + out.paint(f"(seen {duration_text(run.age_s)} ago)", style)
    return line


def hang_words(run: RunView) -> str | None:
    """The hang that a run is in, or ended in, in a line. None if there is none."""
    if run.hang is None or run.hang.words is None:
        return None
    report = f"; report: {run.hang.report}" if run.hang.report else ""
    return printable(f"hangs: {run.hang.words}{report}")


def full_words(directory: Path) -> str | None:
    """A line that reports a full disk of the run, or None."""
    if has_room(directory):
        return None
    return printable(f"the disk is full: {directory} cannot be written")


def _row(task: TaskView, run: RunView) -> list[Cell]:
    state = f"{task.state} (first)" if task.task == run.first_failed else task.state
    return [
        (task.task, task_colour(task.task)),
        (state, STATE_COLOURS.get(task.state, "")),
        since(task, run.seen),
        task.address or "",
        "" if task.pid is None else str(task.pid),
        str(task.restarts or ""),
        exit_words(task),
    ]


def since(task: TaskView, seen: float | None = None) -> str:
    """How long the task has run, or how long ago it ended.

    For a lost task, when it was last `seen`.
    """
    end = seen if task.state == State.LOST else task.ended
    if end is not None:
        return f"{duration_text(time.time() - end)} ago"
    return duration_text(time.time() - task.started) if task.started is not None else ""


def exit_words(task: TaskView) -> str:
    """The exit code or signal of a task that ended."""
    return task.signal or ("" if task.exit_code is None else str(task.exit_code))
