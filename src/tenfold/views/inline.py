"""A run inside the page of a notebook: its tasks and log lines as HTML.

No script, no style sheet, nothing loaded, everything that a task or a file said escaped. Text has
the page's own colours, so that it can be read in light and dark ones; a state is a coloured dot
beside its word. Addresses of pages are left out: they hold tokens, and notebooks are passed on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html import escape
from io import StringIO

from tenfold.base.quantities import duration_text
from tenfold.errors import printable
from tenfold.run.logs import LogLine
from tenfold.run.states import State
from tenfold.views.because import because
from tenfold.views.status import RunView, TaskView
from tenfold.views.tasks import STALE_S, exit_words, since
from tenfold.views.terminal import Terminal, task_colour

_TITLES = ("task", "state", "since", "address", "pid", "restarts", "exit")

_GREEN, _RED, _AMBER, _GREY = "#2f9e62", "#d64545", "#d9942b", "#8894a0"
_STATES: Mapping[str, str] = {
    State.RUNNING: _GREEN,
    State.SUCCEEDED: _GREEN,
    State.FAILED: _RED,
    State.LOST: _RED,
    State.STARTING: _AMBER,
    State.RESTARTING: _AMBER,
    State.STOPPING: _AMBER,
}
_TASKS = {
    "cyan": "#0e9aa7",
    "yellow": "#b58900",
    "green": _GREEN,
    "magenta": "#b84ab8",
    "blue": "#3b82c4",
}
_CELL = "text-align: left; padding: 2px 12px 2px 0"
_SCROLLS = "max-height: 32em; overflow: auto;"


def without_pages(run: RunView) -> RunView:
    """A run's status without the addresses of its pages."""
    return replace(run, tasks=tuple(replace(task, url=None, urls={}) for task in run.tasks))


def tasks_html(run: RunView, headline: str | None = None) -> str:
    """The run in a line, and its tasks as a table.

    `headline` is that of a failed run (`views.headline`), or None.
    """
    head = "".join(f'<th style="{_CELL}">{title}</th>' for title in _TITLES)
    rows = "".join(_row(task, run) for task in run.tasks)
    damaged = "".join(
        f"<div>damaged: {_text(path)} {_text(what)}</div>" for path, what in run.damaged.items()
    )
    return (
        f'<div>{_headline(run, headline)}</div><div style="{_SCROLLS}"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>{damaged}"
    )


def _headline(run: RunView, headline: str | None) -> str:
    words = f"<b>{_text(run.cluster)}</b> {_text(run.run)} {_state(run.state or 'unknown')}"
    if why := because(run, headline):
        words += f": {_text(why)}"
    if run.age_s is not None and run.age_s > STALE_S:
        words += f" (seen {duration_text(run.age_s)} ago)"
    return f"{words} <small>at {time.strftime('%H:%M:%S')}</small>"


def _row(task: TaskView, run: RunView) -> str:
    mark = " (first)" if task.task == run.first_failed else ""
    cells = (
        _text(task.task),
        _state(task.state) + mark,
        _text(since(task, run.seen)),
        _text(task.address or ""),
        _text("" if task.pid is None else task.pid),
        _text(task.restarts or ""),
        _text(exit_words(task)),
    )
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _state(state: str) -> str:
    return f'<span style="color: {_STATES.get(state, _GREY)}">●</span> {_text(state)}'


def _text(value: object) -> str:
    return escape(printable(str(value)))


def logs_html(lines: Iterable[LogLine], width: int) -> str:
    """Log lines after the names of their tasks.

    `width` is that of the longest name.
    """
    plain = Terminal(StringIO(), "never")
    shown = "".join(
        f'<span style="color: {_colour(line.task)}">{escape(f"{line.task:<{width}} | ")}</span>'
        f"{escape(plain.foreign(line.text))}\n"
        for line in lines
    )
    return f'<pre style="{_SCROLLS}">{shown}</pre>'


def _colour(label: str) -> str:
    return _TASKS.get(task_colour(label).removeprefix("bright_"), _GREY)
