"""The positions of jobs and tasks in the picture of a cluster. Pure.

They are the same for the same plan.

Jobs that talk to each other stand around the middle, each a row or a column of its tasks facing
it, so that no line between two jobs runs through a third; the others stand in a row below. The
page's map and the SVG picture are drawn from this.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenfold.views.traffic import MapView

CELL_W, CELL_H = 1.5, 1.3
"""The size of one task's cell, in units of the layout."""
RADIUS = 0.36
"""The radius of a task's disc."""
_PAD, _HEAD, _GAP = 0.35, 0.75, 1.6
"""Space around a job's tasks, above them for the name, and between jobs."""
_LETTER = 0.19
"""The width of a letter in a job's name."""
_LINE = 12
"""The number of tasks in one line before there is a second."""
_CIRCLE = 32
"""The maximum number of tasks on a circle.

These are tasks that communicate with each other. More would make it too wide.
"""
_WIDEST = 4.0
_GROW = 1.06


@dataclass(slots=True)
class JobBox:
    """The box of one job: upper left corner, size, and tasks side by side.

    Tasks that talk among themselves stand on a circle, `columns` being its diameter.
    """

    job: str
    tasks: int
    columns: int
    circle: bool = False
    x: float = 0.0
    y: float = 0.0

    @property
    def w(self) -> float:
        """The width of the tasks or of the name, whichever is larger."""
        return max(self.columns * CELL_W, (len(self.job) + 5) * _LETTER) + 2 * _PAD

    @property
    def h(self) -> float:
        """The height of the box."""
        rows = self.columns if self.circle else -(-self.tasks // self.columns)
        return rows * CELL_H + 2 * _PAD + _HEAD

    def place_of(self, index: int) -> tuple[float, float]:
        """The centre of one task's disc."""
        if self.circle:
            angle = 2 * math.pi * index / self.tasks - math.pi / 2
            middle = (self.columns - 1) / 2
            row, column = (middle * (1 + turn(angle)) for turn in (math.sin, math.cos))
        else:
            row, column = divmod(index, self.columns)
        x = self.x + (self.w - self.columns * CELL_W) / 2 + (column + 0.5) * CELL_W
        return round(x, 3), round(self.y + _PAD + _HEAD + (row + 0.5) * CELL_H, 3)


@dataclass(slots=True)
class Layout:
    """A whole picture, `width` by `height` units, `x` to the right and `y` down."""

    width: float
    height: float
    groups: list[JobBox] = field(default_factory=list)

    def nodes(self) -> dict[str, tuple[float, float]]:
        """The centre of every task."""
        return {
            f"{group.job}/{index}": group.place_of(index)
            for group in self.groups
            for index in range(group.tasks)
        }

    def to_json(self) -> dict[str, Any]:
        """`{width, height, radius, groups: [{job, x, y, w, h, columns}], nodes}`.

        `nodes` is `{task: [x, y]}`.
        """
        return {
            "width": round(self.width, 3),
            "height": round(self.height, 3),
            "radius": RADIUS,
            "groups": [
                {key: _plain(getattr(group, key)) for key in ("job", "x", "y", "w", "h", "columns")}
                for group in self.groups
            ],
            "nodes": {task: list(place) for task, place in self.nodes().items()},
        }


def _plain(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def layout(shown: MapView, aspect: float = 1.6) -> Layout:
    """The layout of a map (`tenfold.views.traffic`).

    It is about `aspect` times as wide as high.
    """
    aspect = min(_WIDEST, max(0.3, aspect))
    jobs: dict[str, int] = {}
    for task in shown.tasks:
        jobs[task.job] = max(jobs.get(task.job, 0), task.index + 1)
    pairs = [group.ends for group in shown.groups if group.expected]
    talking = {end for pair in pairs for end in pair}
    around = {job: tasks for job, tasks in jobs.items() if job in talking} or jobs
    below = {job: tasks for job, tasks in jobs.items() if job not in around}
    circles = {job for job, tasks in around.items() if (job, job) in pairs and tasks <= _CIRCLE}
    made = _ring(around, aspect, circles)
    high = made.height
    _put_below(made, below)
    if made.height > high:  # room for the rows below is taken from its height
        made = _ring(around, min(_WIDEST, aspect * made.height / high), circles)
        _put_below(made, below)
    return made


def _ring(jobs: Mapping[str, int], aspect: float, circles: Collection[str]) -> Layout:
    angles = _angles(len(jobs))
    groups = [
        _circle(job, tasks) if job in circles else _group(job, tasks, angle, aspect)
        for (job, tasks), angle in zip(jobs.items(), angles, strict=True)
    ]
    height = max((group.h for group in groups), default=1.0)
    while True:
        made = Layout(max(height * aspect, *(group.w for group in groups), 1.0), height, groups)
        for group, angle in zip(groups, angles, strict=True):
            group.x = (made.width - group.w) * (1 + math.cos(angle)) / 2
            group.y = (made.height - group.h) * (1 + math.sin(angle)) / 2
        if not _crowded(groups):
            return made
        height *= _GROW


def _angles(count: int) -> list[float]:
    """Angles on the circle: the first is at the top, others follow clockwise.

    Two stand side by side.
    """
    start = math.pi if count == 2 else -math.pi / 2
    return [start + 2 * math.pi * place / max(1, count) for place in range(count)]


def _circle(job: str, tasks: int) -> JobBox:
    return JobBox(job, tasks, max(2, math.ceil(tasks / math.pi) + 1), circle=True)


def _group(job: str, tasks: int, angle: float, aspect: float) -> JobBox:
    """A job's tasks in lines that face the middle."""
    lines = max(1, -(-tasks // _LINE)) if tasks <= 4 * _LINE else round(math.sqrt(tasks / 2))
    across = abs(math.cos(angle)) < 0.5  # above or below the middle
    length = -(-tasks // lines)
    if across and length * CELL_W > 8 * aspect * CELL_H:
        length = max(1, round(math.sqrt(tasks * aspect)))
    return JobBox(job, tasks, max(1, length if across else lines))


def _crowded(groups: Sequence[JobBox]) -> bool:
    return any(
        one.x < other.x + other.w + _GAP
        and other.x < one.x + one.w + _GAP
        and one.y < other.y + other.h + _GAP
        and other.y < one.y + one.h + _GAP
        for place, one in enumerate(groups)
        for other in groups[:place]
    )


def _put_below(made: Layout, jobs: Mapping[str, int]) -> None:
    """Add jobs in rows below the existing ones."""
    x, y, row_h = 0.0, made.height + _GAP, 0.0
    for job, tasks in jobs.items():
        group = JobBox(job, tasks, max(1, min(tasks, int((made.width - 2 * _PAD) / CELL_W))))
        if x > 0 and x + group.w > made.width:
            x, y, row_h = 0.0, y + row_h + _GAP / 2, 0.0
        group.x, group.y = x, y
        x += group.w + _GAP / 2
        row_h = max(row_h, group.h)
        made.groups.append(group)
        made.height = y + row_h
        made.width = max(made.width, group.w)
    _centre(made, made.groups[len(made.groups) - len(jobs) :])


def _centre(made: Layout, groups: Sequence[JobBox]) -> None:
    """Centre the rows of groups."""
    for y in {group.y for group in groups}:
        row = [group for group in groups if group.y == y]
        shift = (made.width - max(group.x + group.w for group in row)) / 2
        for group in row:
            group.x += shift
