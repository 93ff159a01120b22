"""`tenfold config`: show the settings and where each comes from."""

from __future__ import annotations

import click

from tenfold.cli.common import json_option, out, print_json
from tenfold.cluster import settings


@click.command("config")
@click.option("--show-origin", is_flag=True, help="Show where each value comes from.")
@json_option
def command(show_origin: bool, as_json: bool) -> None:
    """Show the current settings. Options and the cluster file can override them."""
    resolved = {name: settings.resolve(name) for name in settings.SETTINGS}
    if as_json:
        shown = {n: {"value": r.shown, "origin": r.origin} for n, r in resolved.items()}
        print_json({"version": 1, "settings": shown})
        return
    from tenfold.views.table import show_table

    titles = ["SETTING", "VALUE", *(["ORIGIN"] if show_origin else []), "VARIABLE", "MEANING"]
    show_table(out(), titles, [_row(name, found, show_origin) for name, found in resolved.items()])


def _row(name: str, found: settings.Resolved, show_origin: bool) -> list[str]:
    origin = [found.origin] if show_origin else []
    return [name, found.shown, *origin, settings.variable(name), settings.SETTINGS[name].meaning]
