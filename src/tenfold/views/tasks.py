"""A run as a table: what `tenfold ps` shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.base.quantities import duration_text
from tenfold.errors import printable
from tenfold.run.appending import has_room
from tenfold.run.states import State
from tenfold.views import notfinite
from tenfold.views.because import because, first_failed
from tenfold.views.notfinite import odd_figures
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import STATE_COLOURS, Terminal, task_colour

STALE_S = 5.0

_TITLES = ("TASK", "STATE", "SINCE", "ADDRESS", "PID", "RESTARTS", "EXIT")


def show_run(out: Terminal, status: Mapping[str, Any]) -> None:
    """Print the run in a line or two, its tasks, and its pages."""
    out.print(_headline(out, status))
    first = first_failed(status)
    rows = [_row(task, status["seen"], first) for task in status["tasks"]]
    show_table(out, _TITLES, rows)
    for task in status["tasks"]:
        if task["url"] and task["state"] == State.RUNNING:
            out.print(f"{task['job']}: {out.paint(task['url'], 'underline')}")
    for task in status["tasks"]:
        if task.get("waits"):
            words = printable(f"waiting for {task['task']}: {task['waits']}")
            out.print(out.paint(words, "yellow"))
    if hang := hang_words(status):
        out.print(out.paint(hang, "bold red"))
    if odd := notfinite.words(odd_figures(status.get("not_finite"))):
        out.print(out.paint(printable(odd), "bold yellow"))
    if status["age_s"] is not None and (full := full_words(Path(status["directory"]))):
        out.print(out.paint(full, "bold red"))
    for path, what in status["damaged"].items():
        out.print(out.paint(printable(f"damaged: {path} {what}"), "yellow"))


def _headline(out: Terminal, status: Mapping[str, Any]) -> str:
    state = status["state"] or "unknown"
    line = out.paint(status["cluster"], "bold") + " " + out.paint(status["run"], "dim")
    line += f"  {out.paint(state, STATE_COLOURS.get(state, ''))}"
    if words := because(status):
        line += f": {printable(words)}"
    age = status["age_s"]
    if age is not None:
        style = "bold yellow" if age > STALE_S else "dim"
        line += "  " + out.paint(f"(seen {duration_text(age)} ago)", style)
    return line


def hang_words(status: Mapping[str, Any]) -> str | None:
    """The hang that a run is in, or ended in, in a line. None if there is none."""
    hang = status.get("hang")
    if not isinstance(hang, dict) or not isinstance(hang.get("words"), str):
        return None
    report = f"; report: {hang['report']}" if hang.get("report") else ""
    return printable(f"hangs: {hang['words']}{report}")


def full_words(directory: Path) -> str | None:
    """A line that reports a full disk of the run, or None."""
    if has_room(directory):
        return None
    return printable(f"the disk is full: {directory} cannot be written")


def _row(task: Mapping[str, Any], seen: float | None, first: str | None) -> list[Cell]:
    state = f"{task['state']} (first)" if task["task"] == first else task["state"]
    return [
        (task["task"], task_colour(task["task"])),
        (state, STATE_COLOURS.get(task["state"], "")),
        since(task, seen),
        task["address"] or "",
        "" if task["pid"] is None else str(task["pid"]),
        str(task["restarts"] or ""),
        exit_words(task),
    ]


def since(task: Mapping[str, Any], seen: float | None = None) -> str:
    """How long the task has run, or how long ago it ended.

    For a lost task, when it was last `seen`.
    """
    end = seen if task["state"] == State.LOST else task["ended"]
    if end is not None:
        return f"{duration_text(time.time() - end)} ago"
    return duration_text(time.time() - task["started"]) if task["started"] is not None else ""


def exit_words(task: Mapping[str, Any]) -> str:
    """The exit code or signal of a task that ended."""
    if task["signal"]:
        return str(task["signal"])
    return "" if task["exit_code"] is None else str(task["exit_code"])
