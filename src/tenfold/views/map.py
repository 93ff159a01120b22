"""The map as a table: what `tenfold map` prints."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.base.quantities import bytes_text, duration_text
from tenfold.errors import printable
from tenfold.traffic.ledger import OUTSIDE
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import STATE_COLOURS, Terminal, task_colour
from tenfold.views.traffic import CUT, NOT_PLANNED, SILENT, MapEdge, MapGroup, MapView

MOST_EDGES = 200
"""Above this number, edges are shown by job, unless all are requested."""

_MARKS = {CUT: "bold red", SILENT: "yellow", NOT_PLANNED: "magenta"}
_COUNTED = ((CUT, "cut"), (SILENT, "planned but silent"), (NOT_PLANNED, "not planned"))
_TITLES = ("FROM", "TO", "RATE →", "RATE ←", "TOTAL →", "TOTAL ←", "CONNECTIONS", "")
_GROUP_TITLES = ("FROM", "TO", "EDGES", "RATE", "TOTAL", "CONNECTIONS", "SILENT", "CUT")


def show_map(out: Terminal, shown: MapView, *, most: float = MOST_EDGES) -> None:
    """Print the run in a line, then its edges.

    Edges are listed one by one, or by job if there are more than `most`.
    """
    out.print(_headline(out, shown))
    found = shown.edges
    if not found:
        out.print(out.paint("no traffic between tasks so far", "dim"))
    elif len(found) > most:
        show_table(out, _GROUP_TITLES, [_group_row(group) for group in shown.groups])
        out.print(out.paint(f"{len(found)} edges; --all shows each", "dim"))
    else:
        show_table(out, _TITLES, [_row(edge) for edge in found])
    for path, what in shown.damaged.items():
        out.print(out.paint(printable(f"damaged: {path} {what}"), "yellow"))


def _headline(out: Terminal, shown: MapView) -> str:
    state = shown.state or "unknown"
    total = sum(edge.bytes or 0 for edge in shown.edges)
    rate = sum(edge.rate_bytes_s for edge in shown.edges)
    line = out.paint(shown.cluster, "bold") + " " + out.paint(shown.run, "dim")
    line += f"  {out.paint(state, STATE_COLOURS.get(state, ''))}"
    line += f"  {bytes_text(total)} in {duration_text(shown.seconds)}"
    line += f", {_speed(rate)}" if _speed(rate) else ""
    for mark, words in _COUNTED:
        count = sum(edge.mark == mark for edge in shown.edges)
        line += ", " + out.paint(f"{count} {words}", _MARKS[mark]) if count else ""
    return line


def _row(edge: MapEdge) -> Sequence[Cell]:
    return [
        (printable(edge.source), task_colour(edge.source)),
        _end(edge.target),
        _speed(edge.rate_to),
        _speed(edge.rate_from),
        _size(edge.bytes_to),
        _size(edge.bytes_from),
        str(edge.connections or ""),
        (edge.mark if edge.mark in _MARKS else "", _MARKS.get(edge.mark, "")),
    ]


def _end(name: str) -> Cell:
    colour = "magenta" if name.startswith(OUTSIDE) else task_colour(name)
    return printable(name), colour


def _group_row(group: MapGroup) -> Sequence[Cell]:
    return [
        printable(group.source),
        (printable(group.target), "" if group.planned else _MARKS[NOT_PLANNED]),
        str(group.edges),
        _speed(group.rate_bytes_s),
        _size(group.bytes),
        str(group.connections or ""),
        (str(group.silent or ""), _MARKS[SILENT]),
        (str(group.cut or ""), _MARKS[CUT]),
    ]


def _speed(rate: float) -> str:
    return f"{bytes_text(round(rate))}/s" if rate >= 0.5 else ""


def _size(carried: int | None) -> str:
    return "?" if carried is None else bytes_text(carried) if carried else ""
