"""Where jobs and tasks stand: nothing overlaps, nothing moves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from tenfold.views.layout import RADIUS, layout
from tenfold.views.status import TaskView
from tenfold.views.traffic import MapGroup, MapView

TALKS = [("chief", "ps"), ("chief", "worker"), ("ps", "worker")]


def shown(jobs: Mapping[str, int], pairs: list[tuple[str, str]] = TALKS) -> MapView:
    """As much of a map as the layout looks at."""
    tasks = [TaskView(f"{job}/{n}", job, n) for job, many in jobs.items() for n in range(many)]
    groups = tuple(MapGroup(one, other, expected=True) for one, other in pairs)
    return MapView("c", "r", "running", 1.0, 1.0, groups=groups, tasks=tuple(tasks))


CLUSTERS = {
    "talk": {"corpus": 1, "chief": 1, "ps": 4, "worker": 8, "tensorboard": 1, "jupyter": 1},
    "300": {"chief": 1, "ps": 20, "worker": 279},
    "1000": {"chief": 1, "ps": 20, "worker": 979},
    "one": {"chief": 1},
    "nothing": {},
}


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.8])
@pytest.mark.parametrize("jobs", CLUSTERS.values(), ids=CLUSTERS)
def test_no_two_nodes_of_a_layout_overlap(jobs: dict[str, int], aspect: float) -> None:
    made = layout(shown(jobs), aspect)
    nodes = made.nodes()
    assert len(nodes) == sum(jobs.values())
    for x, y in nodes.values():
        assert RADIUS <= x <= made.width - RADIUS
        assert RADIUS <= y <= made.height - RADIUS
    for one, other in itertools.combinations(made.groups, 2):
        apart_x = one.x + one.w <= other.x or other.x + other.w <= one.x
        assert apart_x or one.y + one.h <= other.y or other.y + other.h <= one.y
    if len(nodes) < 400:
        for (ax, ay), (bx, by) in itertools.combinations(nodes.values(), 2):
            assert abs(ax - bx) >= 2 * RADIUS or abs(ay - by) >= 2 * RADIUS


def test_jobs_without_traffic_are_placed_below() -> None:
    made = layout(shown(CLUSTERS["talk"]), 1.6)
    boxes = {group.job: group for group in made.groups}
    low = max(boxes[job].y + boxes[job].h for job in ("chief", "ps", "worker"))
    assert all(boxes[job].y >= low for job in ("corpus", "tensorboard", "jupyter"))


def test_equals_stand_on_a_circle() -> None:
    made = layout(shown({"worker": 8}, [("worker", "worker")]))
    (group,) = made.groups
    assert group.circle
    places = made.nodes()
    assert places["worker/0"][1] < places["worker/2"][1] < places["worker/4"][1]
    assert places["worker/6"][0] < places["worker/0"][0] < places["worker/2"][0]
    assert places["worker/0"][0] == pytest.approx(places["worker/4"][0])
    assert places["worker/2"][1] == pytest.approx(places["worker/6"][1])


def test_the_shape_is_what_the_page_reads() -> None:
    said = layout(shown({"chief": 1, "ps": 2}), 1.0).to_json()
    assert set(said) == {"width", "height", "radius", "groups", "nodes"}
    assert set(said["groups"][0]) == {"job", "x", "y", "w", "h", "columns"}
    assert set(said["nodes"]) == {"chief/0", "ps/0", "ps/1"}
