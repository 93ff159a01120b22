"""Stacks of all tasks: the output of `tenfold stacks`."""

from __future__ import annotations

from collections.abc import Iterable

from tenfold.base.quantities import duration_text
from tenfold.debug import words
from tenfold.debug.findings import Findings
from tenfold.debug.stacks import TaskStacks
from tenfold.errors import printable
from tenfold.views.status import RunView
from tenfold.views.tasks import hang_words
from tenfold.views.terminal import STATE_COLOURS, Terminal, task_colour


def show_stacks(out: Terminal, run: RunView, found: Findings) -> None:
    """Print the run in a line, a current hang, outliers, and stacks in groups."""
    state = run.state or "unknown"
    head = out.paint(run.cluster, "bold") + " " + out.paint(run.run, "dim")
    head += f"  {out.paint(state, STATE_COLOURS.get(state, ''))}"
    asked = "1 task" if len(found.tasks) == 1 else f"{len(found.tasks)} tasks"
    out.print(f"{head}  {asked} asked in {duration_text(found.seconds)}")
    if hang := hang_words(run):
        out.print(out.paint(hang, "bold red"))
    for text, style in words.said(found):
        out.print(out.paint(printable(text), style))


def show_raw(out: Terminal, tasks: Iterable[TaskStacks]) -> None:
    """Print the sources' own texts, process by process."""
    for one in tasks:
        for process in one.processes:
            head = f"{one.task}: {process.command}, process {process.pid}, {process.state}"
            out.print(out.paint(printable(head), task_colour(one.task)))
            for line in (process.raw or process.trouble or "").splitlines():
                out.print(f"    {printable(line)}")
        if one.trouble:
            out.print(out.paint(printable(f"{one.task}: {one.trouble}"), "yellow"))
