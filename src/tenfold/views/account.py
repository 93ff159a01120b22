"""How a run ended: in a line when well, with its first failure last on the screen when not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tenfold.errors import printable
from tenfold.views.tasks import duration
from tenfold.views.terminal import STATE_COLOURS, Terminal


def show_end(err: Terminal, status: Mapping[str, Any]) -> None:
    """Say how the run ended, where its files are, and, last, what failed first."""
    first = status["first_failure"]
    state = status["state"]
    line = f"{status['cluster']} {err.paint(state, STATE_COLOURS.get(state, ''))}"
    if status["reason"]:
        line += f": {printable(status['reason'])}"
    if status["started"] and status["ended"]:
        line += err.paint(f" ({duration(status['ended'] - status['started'])})", "dim")
    err.print(line)
    err.print(err.paint(f"everything it left: {status['directory']}", "dim"))
    if first:
        _show_failure(err, status, first)


def _show_failure(err: Terminal, status: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    later = [f"{death['task']} {death['words']}" for death in status["consequences"]]
    if later:
        shown = "; ".join(later[:6]) + (f"; {len(later) - 6} more" if len(later) > 6 else "")
        words = printable(f"after it, and so perhaps because of it: {shown}")
        err.print(err.paint(words, "dim"))
    when = datetime.fromtimestamp(first["time"]).astimezone().strftime("%H:%M:%S")
    head = err.paint("first failure: ", "bold red") + err.paint(first["task"], "bold")
    lines = first["lines"]
    tail = f"its last {len(lines)} lines:" if len(lines) > 1 else "its last words:"
    tail = tail if lines else "it wrote nothing"
    err.print(f"{head} {printable(first['words'])} at {when}; {tail}")
    for line in lines:
        err.print(err.paint("  │ ", "red") + err.foreign(line))
