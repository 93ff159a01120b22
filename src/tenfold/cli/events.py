"""`tenfold events`: list the events of a run in order."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tenfold.base.json_text import json_text
from tenfold.base.streams import nobody_reads
from tenfold.cli.common import cluster_argument, err, find_run, json_option, out, runs_option
from tenfold.errors import printable

if TYPE_CHECKING:
    from tenfold.run.eventlog import Event
    from tenfold.views.terminal import Terminal

_POLL_S = 0.2


@click.command("events")
@cluster_argument
@click.option("-f", "--follow", is_flag=True, help="Print new events until the run ends.")
@runs_option
@json_option
def command(cluster: str | None, follow: bool, runs: str | None, as_json: bool) -> None:
    """List the events of a run in order (with --json as JSON Lines)."""
    from tenfold.run.eventlog import read_events
    from tenfold.run.jsonfiles import Problems

    run = find_run(cluster, runs)
    problems = Problems()
    position = 0
    terminal = out()
    try:
        while True:
            alive = run.alive()
            events, position = read_events(run.events, problems, position)
            for event in events:
                _show(terminal, event, as_json)
            if not follow or not alive or nobody_reads():
                break
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return
    for path, what in problems.found.items():
        err().print(printable(f"damaged: {path} {what}"))


def _show(terminal: Terminal, event: Event, as_json: bool) -> None:
    if as_json:
        terminal.print(json_text(event.to_json()))
        return
    from tenfold.views.eventtexts import sentence

    kind = terminal.paint(f"{printable(event.kind or '?'):<18}", "bold")
    terminal.print(f"{_clock(event.time)}  {kind} {sentence(event)}".rstrip())


def _clock(moment: float | None) -> str:
    if moment is None:
        return "--:--:--.---"
    return datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S.%f")[:-3]
