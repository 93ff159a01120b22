"""Describe figures that are not finite: since which step, and of whom. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.run.eventlog import Event
from tenfold.run.statusfiles import OddFigure

_MOST = 3


def words(odd: Sequence[OddFigure]) -> str | None:
    """`loss is not finite (nan) since step 120 of worker/0`.

    None if all are finite.

    Figures that are finite again count only where no other one is left.
    """
    lasting = [one for one in odd if one.until is None]
    by_figure: dict[str, list[OddFigure]] = {}
    for one in lasting or odd:
        by_figure.setdefault(one.figure, []).append(one)
    said = [_figure(name, ones) for name, ones in list(by_figure.items())[:_MOST]]
    if more := len(by_figure) - len(said):
        said.append(f"{more} more")
    return ", ".join(said) if said else None


def _figure(name: str, ones: Sequence[OddFigure]) -> str:
    first = min(ones, key=lambda one: one.since)
    unit, since = first.unit.removesuffix("s"), _step(first.since)
    sources = {one.source for one in ones}
    whom = first.source
    whom += f" (and of {len(sources) - 1} more)" if len(sources) > 1 else ""
    if first.until is not None:
        steps = f"{unit} {since} to {_step(first.until)}"
        return f"{name} was not finite ({first.value}) from {steps} of {whom}"
    return f"{name} is not finite ({first.value}) since {unit} {since} of {whom}"


def _step(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def event_words(event: Event) -> str:
    """The text of an event `not-finite`."""
    figure = OddFigure.from_json(event.to_json())
    return words([figure]) or "" if figure else ""
