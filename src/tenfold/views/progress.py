"""A task's progress in a line: what it reported, or what its progress bar says."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, TypeGuard

from tenfold.base.quantities import duration_text
from tenfold.errors import printable
from tenfold.views.terminal import Terminal

SILENT_S = 15.0
_BAR = 24


def words(said: Mapping[str, Any]) -> str:
    """Progress as text.

    For example `45 %  epoch 1/1  512,345 words/s  loss 2.31  1 min 05 s left`.
    """
    total = said.get("total")
    unit = said.get("unit", "steps")
    parts = [
        f"{100 * _share(said):.0f} %" if total is not None else f"{_figure(said['done'])} {unit}"
    ]
    rate = said.get("rate")
    figures = {name: _figure(value) for name, value in (said.get("figures") or {}).items()}
    if "epoch" in figures:
        parts.append(f"epoch {figures.pop('epoch')}")
    if rate:
        parts.append(f"{_figure(rate)} {unit}/s")
    parts += [f"{name} {value}" for name, value in figures.items()]
    silent_s = time.time() - said.get("time", math.inf)
    if silent_s > SILENT_S:
        parts.append(f"no report for {duration_text(silent_s)}")
    elif rate and total is not None and said["done"] < total:
        parts.append(f"{duration_text((total - said['done']) / rate)} left")
    return printable("  ".join(parts))


def bar(err: Terminal, said: Mapping[str, Any]) -> str:
    """The progress after a bar, in one line of the terminal."""
    full = round(_BAR * _share(said))
    drawn = err.paint("━" * full, "green") + err.paint("─" * (_BAR - full), "dim")
    return f"{drawn} {words(said)[: max(0, err.width - _BAR - 2)]}"


def makes_sense(said: dict[str, Any] | None) -> TypeGuard[dict[str, Any]]:
    """Whether progress can be shown: the file is whole, and numbers are numbers.

    Only a bar may have no total.
    """
    names = ("done", "time") if said is not None and "moves" in said else ("done", "total", "time")
    return said is not None and all(_is_number(said.get(name)) for name in names)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _share(said: Mapping[str, Any]) -> float:
    total = said.get("total")
    return 0.0 if total is None else float(min(1.0, max(0.0, said["done"] / (total or 1))))


def _figure(value: object) -> str:
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.3g}"
    if isinstance(value, (int, float)):
        return f"{value:,.0f}"
    return str(value)
