"""The map as a picture: SVG for pages, DOT for Graphviz. Both are plain text.

The SVG has no script and loads nothing; its colours follow the reader's dark or light mode.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from tenfold.base.quantities import bytes_text, duration_text
from tenfold.errors import visible
from tenfold.traffic.ledger import OUTSIDE
from tenfold.views.layout import RADIUS, JobBox, Layout, layout
from tenfold.views.status import TaskView
from tenfold.views.traffic import AS_PLANNED, CUT, NOT_PLANNED, SILENT, MapEdge, MapView

_UNIT = 40
_MARGIN = 1.0
_RIM = 2.6
"""Room on the right for peers outside the cluster, in units of the layout."""

_STYLE = """
  svg { font: 12px system-ui, sans-serif; background: #fff; color: #1f2933; }
  text { fill: currentColor; } .job { font-weight: 600; } .small { font-size: 10px; opacity: .7; }
  .box { fill: #f5f7f9; stroke: #d5dce2; } .task { stroke: #fff; stroke-width: 1.5; fill: #9aa5b1; }
  .running, .succeeded { fill: #2f9e62; } .failed, .lost { fill: #d64545; }
  .starting, .restarting, .stopping { fill: #d9942b; }
  path { fill: none; stroke-linecap: round; } .as { stroke: #3b82c4; }
  .silent { stroke: #d9942b; stroke-dasharray: 2 6; } .not { stroke: #b84ab8; }
  .cut { stroke: #d64545; stroke-dasharray: 6 6; }
  @media (prefers-color-scheme: dark) {
    svg { background: #15191e; color: #dfe5ea; } .box { fill: #1d232a; stroke: #323b45; }
    .task { stroke: #15191e; } .as { stroke: #63a7e4; } .not { stroke: #d884d8; }
  }
"""

_CLASS = {AS_PLANNED: "as", SILENT: "silent", NOT_PLANNED: "not", CUT: "cut"}
_DOT = {
    SILENT: ", style=dashed",
    NOT_PLANNED: ", color=purple",
    CUT: ", style=dashed, color=red",
}


def svg(shown: MapView, aspect: float = 1.6) -> str:
    """A picture of the map in SVG: jobs as boxes, edges as wide as what they carried."""
    made = layout(shown, aspect)
    nodes = made.nodes()
    outside = _outside(shown, made)
    places = nodes | outside
    width = (made.width + 2 * _MARGIN + (_RIM if outside else 0)) * _UNIT
    height = (made.height + 2 * _MARGIN + 1) * _UNIT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        f"aria-label={quoteattr(_title(shown))}>",
        f"<style>{_STYLE}</style>",
        *(_box(group) for group in made.groups),
        *_paths(shown, places),
        *(_disc(task, nodes) for task in shown.tasks),
        *(_rim(name, place) for name, place in outside.items()),
        _text(0, made.height + 0.8, _title(shown), "small"),
        "</svg>",
    ]
    return visible("\n".join(part for part in parts if part)) + "\n"


def _title(shown: MapView) -> str:
    total = sum(edge.bytes or 0 for edge in shown.edges)
    silent = sum(edge.mark == SILENT for edge in shown.edges)
    cut = sum(edge.mark == CUT for edge in shown.edges)
    amount = f"{bytes_text(total)} in {duration_text(shown.seconds)}"
    words = f"{shown.cluster} {shown.run}: {amount}"
    words += f", {cut} edges cut" if cut else ""
    return words + (f", {silent} planned edges silent" if silent else "")


def _outside(shown: MapView, made: Layout) -> dict[str, tuple[float, float]]:
    names = sorted({edge.target for edge in shown.edges if edge.target.startswith(OUTSIDE)})
    step = made.height / (len(names) + 1)
    return {name: (made.width + 1.2, step * (place + 1)) for place, name in enumerate(names)}


def _at(place: tuple[float, float]) -> tuple[float, float]:
    return (place[0] + _MARGIN) * _UNIT, (place[1] + _MARGIN) * _UNIT


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    left, top = _at((x, y))
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _box(group: JobBox) -> str:
    left, top = _at((group.x, group.y))
    words = f"{group.job} ×{group.tasks}" if group.tasks > 1 else group.job
    return (
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{group.w * _UNIT:.1f}" '
        f'height="{group.h * _UNIT:.1f}" rx="8"/>'
        + _text(group.x + 0.35, group.y + 0.6, words, "job")
    )


def _paths(shown: MapView, places: Mapping[str, tuple[float, float]]) -> list[str]:
    most = max((edge.bytes or 0 for edge in shown.edges), default=0)
    ordered = sorted(shown.edges, key=lambda edge: edge.bytes or 0)
    widest = min(6.0, max(1.5, 120 / max(1, len(ordered))))
    return [
        _path(edge, places, most, widest)
        for edge in ordered
        if edge.source in places and edge.target in places
    ]


def _path(
    edge: MapEdge, places: Mapping[str, tuple[float, float]], most: int, widest: float
) -> str:
    (x1, y1), (x2, y2) = _at(places[edge.source]), _at(places[edge.target])
    carried = edge.bytes or 0
    share = math.sqrt(carried / most) if most else 0.0
    width = 0.8 + (widest - 0.8) * share
    mx, my = (x1 + x2) / 2 + (y1 - y2) * 0.06, (y1 + y2) / 2 + (x2 - x1) * 0.06
    words = f"{edge.source} – {edge.target}: {bytes_text(carried)}, {edge.mark}"
    return (
        f'<path class="{_CLASS[edge.mark]}" stroke-width="{width:.1f}" '
        f'stroke-opacity="{0.35 + 0.5 * share:.2f}" '
        f'd="M{x1:.1f} {y1:.1f}Q{mx:.1f} {my:.1f} {x2:.1f} {y2:.1f}">'
        f"<title>{escape(words)}</title></path>"
    )


def _disc(task: TaskView, nodes: Mapping[str, tuple[float, float]]) -> str:
    if task.task not in nodes:
        return ""
    x, y = nodes[task.task]
    left, top = _at((x, y))
    state = str(task.state)
    return (
        f'<circle class="task {escape(state)}" cx="{left:.1f}" cy="{top:.1f}" '
        f'r="{RADIUS * _UNIT:.1f}"><title>{escape(task.task)} {escape(state)}</title></circle>'
        + _text(x, y + 0.11, str(task.index), "", "middle")
    )


def _rim(name: str, place: tuple[float, float]) -> str:
    left, top = _at(place)
    dot = f'<circle class="task" cx="{left:.1f}" cy="{top:.1f}" r="6"/>'
    return dot + _text(place[0], place[1] + 0.5, name.removeprefix(OUTSIDE), "small", "middle")


def dot(shown: MapView) -> str:
    """The map in Graphviz's language, with jobs as clusters.

    Edges are labelled with what they carried.
    """
    lines = [f"graph {_quoted(shown.cluster)} {{", "  node [shape=circle, fontsize=10];"]
    jobs: dict[str, list[str]] = {}
    for task in shown.tasks:
        jobs.setdefault(task.job, []).append(task.task)
    for job, tasks in jobs.items():
        lines.append(f"  subgraph {_quoted('cluster_' + job)} {{")
        lines.append(f"    label={_quoted(job)};")
        lines += [f"    {_quoted(task)};" for task in tasks]
        lines.append("  }")
    for edge in shown.edges:
        style = _DOT.get(edge.mark, "")
        label = _quoted(bytes_text(edge.bytes)) if edge.bytes is not None else '""'
        ends = f"{_quoted(edge.source)} -- {_quoted(edge.target)}"
        lines.append(f"  {ends} [label={label}{style}];")
    return visible("\n".join([*lines, "}"])) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
