"""`tenfold map`: show the traffic between tasks and whether it was planned."""

from __future__ import annotations

import math
import shutil
import time
from typing import TYPE_CHECKING

import click

from tenfold.base.streams import nobody_reads
from tenfold.cli.common import (
    cluster_argument,
    err,
    find_run,
    json_option,
    out,
    print_json,
    runs_option,
    settle_run,
)
from tenfold.errors import InputError

if TYPE_CHECKING:
    from tenfold.run.rundir import RunDirectory
    from tenfold.views.traffic import MapReader, MapView

_EVERY_S = 1.0
_OTHER_LINES = 4
"""Lines of the map on a terminal that are not edges."""


@click.command("map")
@cluster_argument
@click.option("-f", "--follow", is_flag=True, help="Update the map until the run ends.")
@click.option("-a", "--all", "every", is_flag=True, help="Show all edges.")
@click.option(
    "--dot", "form", flag_value="dot", help="Print the map in the DOT language of Graphviz."
)
@click.option("--svg", "form", flag_value="svg", help="Print the map as an SVG image.")
@runs_option
@json_option
def command(
    cluster: str | None,
    follow: bool,
    every: bool,
    form: str | None,
    runs: str | None,
    as_json: bool,
) -> None:
    """Show which tasks exchange data, how much, and whether the plan expects it.

    Rates are those of the last seconds while the cluster runs, and the average after it ended.
    """
    from tenfold.views.traffic import MapReader

    if form and (follow or as_json):
        raise InputError(
            f"--{form} cannot be combined with -f or --json", hint="remove -f and --json"
        )
    run = find_run(cluster, runs)
    settle_run(run)
    reader = MapReader(run)
    if form:
        _draw(reader.read(), form)
    elif follow:
        _follow(run, reader, every, as_json)
    elif as_json:
        print_json(reader.read().to_json())
    else:
        from tenfold.views.map import MOST_EDGES, show_map

        show_map(out(), reader.read(), most=math.inf if every else MOST_EDGES)


def _draw(shown: MapView, form: str) -> None:
    from tenfold.views import picture

    made = picture.svg(shown) if form == "svg" else picture.dot(shown)
    click.echo(made, nl=False)


def _follow(run: RunDirectory, reader: MapReader, every: bool, as_json: bool) -> None:
    """Print the map repeatedly. A terminal is cleared before each print."""
    from tenfold.views.map import MOST_EDGES, show_map

    terminal = out()
    try:
        while True:
            alive = run.alive()
            settle_run(run)
            shown = reader.read()
            if as_json:
                print_json(shown.to_json())
            else:
                most: float = MOST_EDGES
                if terminal.moves:
                    most = min(most, shutil.get_terminal_size().lines - _OTHER_LINES)
                    click.clear()
                show_map(terminal, shown, most=math.inf if every else most)
            if not alive or nobody_reads():
                return
            time.sleep(_EVERY_S)
    except KeyboardInterrupt:
        err().print()
