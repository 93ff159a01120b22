"""One curve: the points of one tag, thinned, whoever wrote them.

Owns keeping the points of one writer (`Curve`) and putting those of several together (`Merged`).
Leaves to `training`: where points come from.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from typing import Any

MOST_POINTS = 1000
"""Points of one tag that are shown at most."""

Point = tuple[int, float, float]
"""Step, value, time (seconds since 1970)."""


class Curve:
    """One tag's points, in the order of their steps: 2,000 at most are kept, and the last.

    Of more, every second is dropped and from then on every second is taken, and so on.
    """

    def __init__(self) -> None:
        self._steps = array("q")
        self._values = array("d")
        self._times = array("d")
        self._every = 1
        self._come = 0
        self._last: Point | None = None

    def add(self, point: Point) -> None:
        """Take a point; one that goes back takes the place of all that came after its step."""
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

    def shown(self, tag: str) -> dict[str, Any]:
        """The tag, and `MOST_POINTS` of its points at most, evenly chosen, the last among them."""
        points: list[Point] = list(zip(*self._columns(), strict=True))
        if self._last is not None and (not points or points[-1][0] != self._last[0]):
            points.append(self._last)
        if len(points) > MOST_POINTS:
            gap = (len(points) - 1) / (MOST_POINTS - 1)
            points = [points[round(n * gap)] for n in range(MOST_POINTS)]
        return {
            "tag": tag,
            "steps": [step for step, _, _ in points],
            "values": [value if math.isfinite(value) else None for _, value, _ in points],
            "times": [round(time, 3) if math.isfinite(time) else None for *_, time in points],
        }
