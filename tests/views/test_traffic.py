"""The map out of what tasks' samples say, whole or damaged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views.traffic import MapEdge, MapReader, MapView, groups
from tests.plans import plan_of, shell

LOCKS: list[IO[bytes]] = []
"""Of runs that are to look alive."""


@pytest.fixture(autouse=True)
def _locks() -> Iterator[None]:
    yield
    while LOCKS:
        LOCKS.pop().close()


def _run(tmp_path: Path, *, state: str = "running", seconds: float = 100.0) -> RunDirectory:
    tasks = [shell(name, "x") for name in ("chief", "ps/0", "ps/1", "worker/0")]
    run = create(tmp_path, "c")
    write_json(run.plan, plan_of(*tasks, framework="tensorflow").to_json())
    now = time.time()
    status = {"version": 1, "state": state, "started": now - seconds, "updated": now,
              "ended": now if state == "succeeded" else None}  # fmt: skip
    write_json(run.status, status)
    for task in tasks:
        run.task(task.label).path.mkdir()
    if state == "running":
        LOCKS.append(hold_lock(run))
    return run


def _tell(run: RunDirectory, label: str, *samples: tuple[float, dict[str, Any]]) -> None:
    """Samples of a task: how many seconds ago, and its peers."""
    now = time.time()
    with run.task(label).traffic.open("a") as stream:
        for ago, peers in samples:
            stream.write(json.dumps({"time": now - ago, "peers": peers}) + "\n")


def _edges(shown: MapView) -> dict[tuple[str, str], dict[str, Any]]:
    return {(edge["from"], edge["to"]): edge for edge in shown.to_json()["edges"]}


def test_planned_edges_are_silent_until_a_byte_flows(tmp_path: Path) -> None:
    run = _run(tmp_path)
    shown = MapReader(run).read()
    assert set(_edges(shown)) == {
        ("chief/0", "ps/0"), ("chief/0", "ps/1"), ("chief/0", "worker/0"),
        ("ps/0", "worker/0"), ("ps/1", "worker/0"),
    }  # fmt: skip
    assert {edge.mark for edge in shown.edges} == {"silent"}
    assert {edge.last_byte for edge in shown.edges} == {None}
    _tell(run, "worker-0", (0, {"ps/0": [0, 0, 1, 1], "ps/1": [5, 0, 1, 1]}))
    edges = _edges(MapReader(run).read())
    assert edges["ps/0", "worker/0"]["mark"] == "silent"  # connected, and not a word
    assert edges["ps/1", "worker/0"]["mark"] == "as planned"


def test_the_larger_of_two_counts_of_an_edge_is_used(tmp_path: Path) -> None:
    run = _run(tmp_path, state="succeeded")
    _tell(run, "worker-0", (50, {"ps/0": [1_000, 200, 1, 3]}))
    _tell(run, "ps-0", (50, {"worker/0": [210, 990, 1, 3]}))
    edge = _edges(MapReader(run).read())["ps/0", "worker/0"]
    assert (edge["bytes"], edge["bytes_to"], edge["bytes_from"]) == (1_210, 210, 1_000)


def test_an_edge_that_one_end_reports_is_counted(tmp_path: Path) -> None:
    run = _run(tmp_path, state="succeeded")
    _tell(run, "ps-0", (50, {"worker/0": [210, 990, 1, 3]}))
    edge = _edges(MapReader(run).read())["ps/0", "worker/0"]
    assert (edge["bytes_to"], edge["bytes_from"]) == (210, 990)


def test_rates_are_of_the_last_seconds(tmp_path: Path) -> None:
    run = _run(tmp_path)
    samples = [(ago, {"ps/0": [10_000 * (100 - ago), 0, 2, 2]}) for ago in range(20, 0, -1)]
    _tell(run, "worker-0", *samples)
    edge = _edges(MapReader(run).read())["ps/0", "worker/0"]
    assert 9_000 < edge["rate_from"] < 11_000
    assert edge["rate_to"] == 0
    assert edge["connections"] == 2
    assert time.time() - edge["last_byte"] < 5


def test_a_task_without_new_progress_has_no_rate(tmp_path: Path) -> None:
    run = _run(tmp_path)
    samples = [(float(ago), {"ps/0": [10_000 * (200 - ago), 0, 2, 2]}) for ago in (64, 62, 60)]
    _tell(run, "worker-0", *samples)
    edge = _edges(MapReader(run).read())["ps/0", "worker/0"]
    assert edge["rate_bytes_s"] == 0
    assert 55 < time.time() - edge["last_byte"] < 75


def test_invalid_peers_are_skipped(tmp_path: Path) -> None:
    run = _run(tmp_path)
    odd = {"ps/0": [10**400, -1, 1, 1], "ps/1": ["x", 1, 1, 1], "chief/0": [1.5, True, [], 1]}
    _tell(run, "worker-0", (1, odd), (0, odd))
    shown = MapReader(run).read()
    json.dumps(shown.to_json(), allow_nan=False)
    assert len(shown.edges) == 5


def test_rates_are_averages_after_the_end(tmp_path: Path) -> None:
    run = _run(tmp_path, state="succeeded", seconds=100)
    _tell(run, "worker-0", (99, {"ps/0": [1_000, 0, 1, 1]}), (0.1, {"ps/0": [500_000, 0, 1, 1]}))
    shown = MapReader(run).read()
    edge = _edges(shown)["ps/0", "worker/0"]
    assert 4_900 < edge["rate_bytes_s"] < 5_100
    assert edge["connections"] == 0
    assert 99 < shown.seconds < 101


def test_unplanned_edges_are_marked(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _tell(run, "worker-0", (0, {"outside:1.2.3.4": [10, 20, 1, 1], "chief/0": [1, 1, 1, 1]}))
    shown = MapReader(run).read()
    assert _edges(shown)["worker/0", "outside:1.2.3.4"]["mark"] == "not planned"
    assert shown.edges[-1].target == "outside:1.2.3.4"
    outside = next(group for group in shown.groups if group.target == "outside")
    assert (outside.bytes, outside.planned) == (30, False)


def test_bytes_that_are_not_counted_are_null(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _tell(run, "worker-0", (0, {"ps/0": [None, None, 2, 2]}))
    _tell(run, "ps-0", (0, {"worker/0": [None, None, 2, 2]}))
    edge = _edges(MapReader(run).read())["ps/0", "worker/0"]
    assert edge["bytes"] is None
    assert (edge["connections"], edge["mark"]) == (2, "as planned")


def test_damage_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = _run(tmp_path)
    _tell(run, "worker-0", (1, {"ps/0": [10, 20, 1, 1]}))
    with run.task("worker-0").traffic.open("a") as stream:
        stream.write('{"time": 1, "peers": {"ps/0": "no list"}}\nnonsense\n')
    run.task("ps-0").traffic.write_text('{"time": "no time"}\n')
    run.task("ps-1").traffic.mkdir()
    shown = MapReader(run).read()
    assert len(shown.edges) == 5
    assert str(run.task("worker-0").traffic) in shown.damaged
    run.plan.write_text("{")
    measured = MapReader(run).read().edges
    assert [(*edge.ends, edge.mark) for edge in measured] == [("ps/0", "worker/0", "not planned")]


def test_groups_add_up() -> None:
    def edge(ends: str, carried: int | None, mark: str = "as planned") -> MapEdge:
        one, other = ends.split()
        silent = mark == "silent"
        return MapEdge(one, other, bytes=carried, rate_bytes_s=1.5, connections=1, mark=mark,
                       planned=True, expected=silent)  # fmt: skip

    found = groups([edge("ps/0 worker/0", 10), edge("ps/1 worker/0", None, "cut"),
                    edge("ps/1 worker/1", 0, "silent"), edge("chief/0 ps/0", None)])  # fmt: skip
    assert [group.to_json() for group in found] == [
        {"from": "ps", "to": "worker", "bytes": 10, "rate_bytes_s": 4.5, "connections": 3,
         "edges": 3, "silent": 1, "cut": 1, "planned": True, "expected": True},
        {"from": "chief", "to": "ps", "bytes": None, "rate_bytes_s": 1.5, "connections": 1,
         "edges": 1, "silent": 0, "cut": 0, "planned": True, "expected": False},
    ]  # fmt: skip
