"""The plots of docs/performance.md, as SVG: what is told by colour is told by marks and words too.

Owns: what each plot shows of a topic's rows. Leaves to others: the rows, and the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot, ticker

from measure import Row

TALK = (20, 15.6)
"""Nodes and speed-up of the 2016 talk: 8.3 hours on one node, 32 minutes on 20."""

STYLE = {
    "svg.hashsalt": "tenfold",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.constrained_layout.use": True,
}

Draw = Callable[[Sequence[Row], Any], None]


def draw(rows: dict[str, list[Row]], directory: Path, form: str = "svg") -> Iterator[Path]:
    """One file for each plot whose topic was measured; gives their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, (topic, size, drawing) in PLOTS.items():
        if topic not in rows:
            continue
        with pyplot.rc_context(STYLE):
            picture = pyplot.figure(figsize=size)
            drawing([row for row in rows[topic] if row["n"]], picture)
            path = directory / f"{name}.{form}"
            about = {"Date": None} if form == "svg" else {}
            picture.savefig(path, metadata=about, dpi=110)
            pyplot.close(picture)
        yield path


def launch(rows: Sequence[Row], picture: Any) -> None:
    """Time and memory over the number of servers, one line a way."""
    ways = {
        "tenfold": ("o", "-"),
        "one process each": ("s", "--"),
        "shell script": ("^", ":"),
        "one import tensorflow": ("x", "-."),
    }
    panels = {"time": "seconds until all answer", "memory": "memory of all processes, MiB (PSS)"}
    for axes, (metric, label) in zip(picture.subplots(1, 2), panels.items(), strict=True):
        for way, (mark, line) in ways.items():
            found = _by_number(rows, f" servers: {way}", metric)
            if found:
                _line(axes, found, marker=mark, linestyle=line, label=way)
        axes.set(xlabel="servers", ylabel=label, ylim=(0, None))
        axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    shown = picture.axes[0].get_legend_handles_labels()
    picture.legend(*shown, loc="outside upper center", ncols=len(ways), frameon=False)


def plan(rows: Sequence[Row], picture: Any) -> None:
    """Seconds over tasks, both logarithmic."""
    axes = picture.subplots()
    _line(axes, _by_number(rows, " tasks", "load + plan"), marker="o", label="load + plan")
    whole = _by_number(rows, " tasks: tenfold plan --json", "whole command")
    words = "tenfold plan --json,\nthe whole command"
    _line(axes, whole, marker="s", linestyle="--", label=words)
    axes.set(xscale="log", yscale="log", xlabel="tasks", ylabel="seconds")
    axes.plot([10_000], [1.0], marker="_", markersize=16, color="black", linestyle="none")
    axes.annotate("target", (10_000, 1.0), xytext=(0, 5), textcoords="offset points", ha="center")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
    axes.legend(loc="upper left", frameon=False)


def lines(rows: Sequence[Row], picture: Any) -> None:
    """Log lines a second, a line a way."""
    marks = {"tenfold, captured": "o", "tenfold up > file": "s", "honcho > file": "x"}
    found = [row for row in rows if row["unit"] == "lines/s"]
    axes = picture.subplots()
    _dots(axes, found, marks)
    axes.set(xlabel="lines a second, every line checked")
    axes.axvline(200_000, color="black", linestyle="--", linewidth=1)
    axes.text(200_000, -0.8, " target", va="center")


def train(rows: Sequence[Row], picture: Any) -> None:
    """Pairs a second on the planted texts, a line a way."""
    found = [row for row in rows if row["metric"] == "steady" and "planted" in row["case"]]
    axes = picture.subplots()
    _dots(axes, found, {"tenfold": "o", "gensim": "s", "one TensorFlow": "^", "2016": "x"})
    axes.set(xlabel="pairs a second, once everything is compiled")


def _dots(axes: Any, rows: Sequence[Row], marks: dict[str, str]) -> None:
    """A line a row, on a logarithmic scale: the median as a mark, its spread, its number."""
    for place, row in enumerate(rows):
        mark = next((m for way, m in marks.items() if way in row["case"]), "o")
        spread = [[row["median"] - row["min"]], [row["max"] - row["median"]]]
        colour = f"C{list(marks.values()).index(mark)}"
        axes.errorbar(row["median"], place, xerr=spread, marker=mark, color=colour, capsize=3)
        axes.annotate(
            f"{row['median']:,.0f}",
            (row["max"], place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows])
    axes.set(xscale="log", ylim=(len(rows) - 0.4, -1.2))
    axes.set_xlim(right=axes.get_xlim()[1] * 6)
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def scaling(rows: Sequence[Row], picture: Any) -> None:
    """Speed-up over workers, beside the ideal and the talk's; says what is simulated."""
    found = _by_number(rows, (" worker", " workers"), "speed-up")
    axes = picture.subplots()
    most = max(found)
    axes.plot([1, most], [1, most], color="grey", linestyle=":", label="ideal")
    _line(axes, found, marker="o", label="measured, with its spread")
    for workers, row in found.items():
        if workers > 1:
            words = f"{row['median']:.1f}×, {100 * row['median'] / workers:.0f} %"
            axes.annotate(
                words, (workers, row["median"]), xytext=(8, -14), textcoords="offset points"
            )
    axes.plot(*TALK, marker="*", markersize=12, color="black", linestyle="none")
    words = "the talk:\n15.6× on 20 nodes,\n78 %"
    axes.annotate(words, TALK, xytext=(8, 4), textcoords="offset points", va="top")
    notes = {row["note"] for row in found.values() if "note" in row}
    axes.set_title("\n".join(_wrapped(note) for note in notes), fontsize=9, loc="left")
    axes.set(xlabel="workers", ylabel="speed-up against one worker", xlim=(0, most * 1.35))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(ticker.FixedLocator(list(found)))
    axes.yaxis.set_major_locator(ticker.MultipleLocator(2))
    axes.legend(loc="upper left", frameon=False)


def _wrapped(words: str, width: int = 88) -> str:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(lines)


def _by_number(rows: Sequence[Row], after: str | tuple[str, ...], metric: str) -> dict[int, Row]:
    """Rows of cases like `10,000 tasks`, by their number; `after` is what follows it."""
    endings = (after,) if isinstance(after, str) else after
    found = {}
    for row in rows:
        number = row["case"].partition(" ")[0]
        if row["metric"] == metric and row["case"] in {number + ending for ending in endings}:
            found[int(number.replace(",", ""))] = row
    return dict(sorted(found.items()))


def _line(axes: Any, found: dict[int, Row], **how: Any) -> None:
    """Medians, with bars from the least to the most."""
    middle = [row["median"] for row in found.values()]
    below = [row["median"] - row["min"] for row in found.values()]
    above = [row["max"] - row["median"] for row in found.values()]
    axes.errorbar(list(found), middle, yerr=(below, above), capsize=3, **how)


PLOTS: dict[str, tuple[str, tuple[float, float], Draw]] = {
    "launch": ("launch", (9.5, 4.0), launch),
    "train": ("train", (9.5, 3.6), train),
    "plan": ("plan", (6.0, 4.0), plan),
    "lines": ("overhead", (9.5, 4.2), lines),
    "scaling": ("scaling", (7.0, 4.8), scaling),
}
"""Name of the file → topic, size in inches, drawing."""
