"""Describe figures that are not finite: since which step, and of whom. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.run.eventlog import Event

_MOST = 3


def odd_figures(value: object) -> list[dict[str, Any]]:
    """`not_finite` of a status, without entries of a wrong type."""
    return [
        one
        for one in (value if isinstance(value, list) else ())
        if isinstance(one, dict)
        and all(isinstance(one.get(name), str) for name in ("figure", "value"))
        and isinstance(one.get("task") or one.get("directory"), str)
        and isinstance(one.get("since"), (int, float))
    ]


def words(odd: Sequence[Mapping[str, Any]]) -> str | None:
    """`loss is not finite (nan) since step 120 of worker/0`.

    None if all are finite.

    Figures that are finite again count only where no other one is left.
    """
    lasting = [one for one in odd if one.get("until") is None]
    by_figure: dict[str, list[Mapping[str, Any]]] = {}
    for one in lasting or odd:
        by_figure.setdefault(str(one["figure"]), []).append(one)
    said = [_figure(name, ones) for name, ones in list(by_figure.items())[:_MOST]]
    if more := len(by_figure) - len(said):
        said.append(f"{more} more")
    return ", ".join(said) if said else None


def _figure(name: str, ones: Sequence[Mapping[str, Any]]) -> str:
    first = min(ones, key=lambda one: float(one["since"]))
    unit = str(first.get("unit") or "steps").removesuffix("s")
    sources = {_source(one) for one in ones}
    whom = _source(first)
    whom += f" (and of {len(sources) - 1} more)" if len(sources) > 1 else ""
    if first.get("until") is not None:
        steps = f"{unit} {_step(first['since'])} to {_step(first['until'])}"
        return f"{name} was not finite ({first['value']}) from {steps} of {whom}"
    return f"{name} is not finite ({first['value']}) since {unit} {_step(first['since'])} of {whom}"


def _source(one: Mapping[str, Any]) -> str:
    """The task that reported the figure, or the directory of its event file."""
    return str(one.get("task") or one["directory"])


def _step(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def event_words(event: Event) -> str:
    """The text of an event `not-finite`."""
    return words([event.to_json()]) or ""
