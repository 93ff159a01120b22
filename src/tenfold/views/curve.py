"""One curve: the points of one tag, thinned, from all its writers.

Owns keeping the points of one writer (`Curve`), and merging those of several (`Writers`). Leaves to
`training`: where points come from.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

MOST_POINTS = 1000
"""The maximum number of points of one tag that are shown."""

Point = tuple[int, float, float]
"""Step, value, time (seconds since 1970)."""


class Curve:
    """One tag's points from one writer, in the order of their steps.

    2,000 at most are kept, and the last. Of more, every second is dropped and from then on every
    second is taken, and so on.
    """

    def __init__(self) -> None:
        self._steps = array("q")
        self._values = array("d")
        self._times = array("d")
        self._every = 1
        self._come = 0
        self._last: Point | None = None
        self.begin = math.nan
        self.changes = 0

    def add(self, point: Point) -> None:
        """Add a point. A point at an earlier step replaces all after that step."""
        self.begin = point[2] if not self.changes else self.begin
        self.changes += 1
        if self._last is not None and point[0] <= self._last[0]:
            self._forget_from(point[0])
        if self._come % self._every == 0:
            step, value, time = point
            self._steps.append(step)
            self._values.append(value)
            self._times.append(time)
        self._come += 1
        self._last = point
        if len(self._steps) > 2 * MOST_POINTS:
            self._every *= 2
            for column in self._columns():
                del column[1::2]
            self._come = (len(self._steps) - 1) * self._every + 1

    def _columns(self) -> tuple[array[int], array[float], array[float]]:
        return self._steps, self._values, self._times

    def _forget_from(self, step: int) -> None:
        keep = bisect_left(self._steps, step)
        for column in self._columns():
            del column[keep:]
        self._come = keep * self._every

    @property
    def end(self) -> float:
        """The time of the last point. `begin` is that of the first."""
        return self._last[2] if self._last is not None else math.nan

    def points(self) -> list[Point]:
        """All points that were kept, and the last one."""
        points: list[Point] = list(zip(*self._columns(), strict=True))
        if self._last is not None and (not points or points[-1][0] != self._last[0]):
            points.append(self._last)
        return points


Restarted = Callable[[float, float], bool]
"""Whether tasks were restarted between these two times.

They are in seconds since 1970.
"""


class Writers:
    """One tag's points from all event files of one directory, a curve each."""

    def __init__(self) -> None:
        self._curves: dict[str, Curve] = {}
        self._merged: tuple[object, list[Point]] = (None, [])

    def of(self, file: str) -> Curve:
        """The curve of the event file of this name."""
        return self._curves.setdefault(file, Curve())

    def shown(self, tag: str, restarted: Restarted) -> dict[str, Any]:
        """The tag, and at most `MOST_POINTS` of its points, evenly chosen.

        The last point is always among them.
        """
        mark = sum(curve.changes for curve in self._curves.values())
        if mark != self._merged[0]:
            self._merged = (mark, self._merge(restarted))
        return shown_points(tag, self._merged[1])

    def _merge(self, restarted: Restarted) -> list[Point]:
        """The points in the order of their steps.

        Writers at the same time, ranks for example, keep all theirs. One that takes up the training
        again takes the place of what those before it had from its first step on.
        """
        curves = sorted(self._curves.items(), key=lambda item: item[1].begin)
        points: list[Point] = []
        for number, (file, curve) in enumerate(curves):
            again = [
                later.points()[0][0]
                for other, later in curves[number + 1 :]
                if later.begin >= curve.end
                and (_same_process(file, other) or restarted(curve.end, later.begin))
            ]
            until = min(again, default=math.inf)
            points += [point for point in curve.points() if point[0] < until]
        return sorted(points, key=lambda point: point[0])


def shown_points(tag: str, points: list[Point]) -> dict[str, Any]:
    """`{tag, steps, values, times}` of at most `MOST_POINTS` points, evenly chosen.

    A value that is not finite is None.
    """
    if len(points) > MOST_POINTS:
        gap = (len(points) - 1) / (MOST_POINTS - 1)
        points = [points[round(n * gap)] for n in range(MOST_POINTS)]
    return {
        "tag": tag,
        "steps": [step for step, _, _ in points],
        "values": [value if math.isfinite(value) else None for _, value, _ in points],
        "times": [round(time, 3) if math.isfinite(time) else None for *_, time in points],
    }


def _same_process(file: str, other: str) -> bool:
    """Whether two event files are of one process.

    Their names are `….tfevents.SECONDS.HOST.PID.NUMBER[.v2]`.
    """
    one, two = _process(file), _process(other)
    return one is not None and one == two


def _process(file: str) -> str | None:
    words = file.partition("tfevents.")[2].removesuffix(".v2").split(".")
    return ".".join(words[1:-1]) if len(words) >= 4 and words[-2].isdigit() else None
