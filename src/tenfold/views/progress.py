"""A task's progress in a line: what it reported, or what its progress bar says."""

from __future__ import annotations

import time

from tenfold.base.quantities import duration_text
from tenfold.errors import printable
from tenfold.run.progress import Progress
from tenfold.views.terminal import Terminal

SILENT_S = 15.0
_BAR = 24


def words(said: Progress) -> str:
    """Progress as text.

    For example `45 %  epoch 1/1  512,345 words/s  loss 2.31  1 min 05 s left`.
    """
    done = f"{_figure(said.done)} {said.unit}"
    parts = [done if said.total is None else f"{100 * (said.share or 0.0):.0f} %"]
    figures = {name: _figure(value) for name, value in said.figures.items()}
    if "epoch" in figures:
        parts.append(f"epoch {figures.pop('epoch')}")
    if said.rate:
        parts.append(f"{_figure(said.rate)} {said.unit}/s")
    parts += [f"{name} {value}" for name, value in figures.items()]
    silent_s = 0.0 if said.time is None else time.time() - said.time
    left = (said.total or 0.0) - (said.done or 0.0)
    if silent_s > SILENT_S:
        parts.append(f"no report for {duration_text(silent_s)}")
    elif said.rate and left > 0:
        parts.append(f"{duration_text(left / said.rate)} left")
    return printable("  ".join(parts))


def bar(err: Terminal, said: Progress) -> str:
    """The progress after a bar, in one line of the terminal."""
    full = round(_BAR * (said.share or 0.0))
    drawn = err.paint("━" * full, "green") + err.paint("─" * (_BAR - full), "dim")
    return f"{drawn} {words(said)[: max(0, err.width - _BAR - 2)]}"


def _figure(value: object) -> str:
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.3g}"
    if isinstance(value, (int, float)):
        return f"{value:,.0f}"
    return str(value)
