"""Where variables lie, from what tasks told: merged, damaged, missing; and roles from the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create
from tenfold.views.placement import placement

SHARDS = 4


def make(tmp_path: Path, framework: str, **jobs: int) -> RunDirectory:
    """A run of these jobs in which nobody has told anything."""
    run = create(tmp_path, "c")
    tasks = [
        {"task": f"{job}/{index}", "job": job, "index": index}
        for job, count in jobs.items()
        for index in range(count)
    ]
    write_json(run.plan, {"cluster": "c", "framework": framework, "tasks": tasks})
    return run


def shard(part: int, task: str | None, **more: Any) -> dict[str, Any]:
    """A part of `table`, as a task tells of it."""
    told: dict[str, Any] = {
        "name": f"table/part_{part}",
        "variable": "table",
        "part": part,
        "parts": SHARDS,
        "shape": [100, 8],
        "dtype": "float32",
        "bytes": 3200,
        "device": f"/job:ps/replica:0/task:{part}/device:CPU:0",
        "task": task,
    }
    return told | more


def tell(run: RunDirectory, label: str, *variables: object) -> None:
    """What the task with this label has told."""
    run.task(label).path.mkdir(exist_ok=True)
    said = {"version": 1, "time": 1.0, "variables": list(variables)}
    write_json(run.task(label).placement, said)


def roles(run: RunDirectory) -> dict[str, str]:
    """What each task does."""
    return {worker["task"]: worker["role"] for worker in placement(run)["workers"]}


def test_servers_are_summed_and_empty_ones_are_listed(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", chief=1, ps=4, worker=2, tensorboard=1)
    tell(run, "chief-0", *(shard(n, f"ps/{n}") for n in range(3)), shard(3, None, bytes=None))
    found = placement(run)
    assert found["told_by"] == "chief/0"
    assert [(s["task"], s["bytes"], s["parts"]) for s in found["servers"]] == [
        ("ps/0", 3200, 1),
        ("ps/1", 3200, 1),
        ("ps/2", 3200, 1),
        ("ps/3", 0, 0),
    ]
    assert found["balance"] == pytest.approx(4 / 3, abs=1e-4)
    assert len(found["variables"]) == 4
    assert list(roles(run)) == ["chief/0", "worker/0", "worker/1"]
    assert roles(run)["chief/0"] == "coordinates: sends work to 2 workers"
    assert roles(run)["worker/1"] == "computes with variables of 4 servers"
    assert [worker["bytes"] for worker in found["workers"]] == [None] * 3


def test_the_placement_is_empty_before_a_task_reports_it(tmp_path: Path) -> None:
    found = placement(make(tmp_path, "tensorflow", chief=1, ps=1, worker=1))
    assert (found["told_by"], found["variables"], found["balance"]) == (None, [], None)
    assert found["servers"] == [{"task": "ps/0", "bytes": 0, "parts": 0}]
    assert found["damaged"] == {}


def test_copies_of_a_mirrored_variable_are_one_entry(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", worker=3)
    for n in range(3):
        own = shard(0, f"worker/{n}", name="w", variable="w", parts=1, bytes=16)
        tell(run, f"worker-{n}", own, own, *([own | {"name": "log"}] if n == 2 else []))
    found = placement(run)
    assert found["servers"] == []
    assert [(v["name"], v["task"], v["also_on"]) for v in found["variables"]] == [
        ("w", "worker/0", ["worker/1", "worker/2"]),
        ("w", "worker/0", ["worker/1", "worker/2"]),
        ("log", "worker/2", []),
    ]
    assert [worker["bytes"] for worker in found["workers"]] == [32, 32, 48]
    assert "own copy of mirrored variables" in roles(run)["worker/0"]


def test_a_placement_reported_by_a_notebook_chief_is_shown(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", ps=1, worker=1, jupyter=1)
    tell(run, "chief-0", shard(0, "ps/0"))
    assert placement(run)["told_by"] == "chief/0"
    assert list(roles(run)) == ["chief/0", "worker/0"]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_ranks_have_the_order_of_their_groups(tmp_path: Path, framework: str) -> None:
    run = make(tmp_path, framework, fetch=1, worker=2, chief=1, jupyter=1)
    noun = {"torch": "rank", "jax": "process"}[framework]
    told = roles(run)
    assert told["fetch/0"] == f"{noun} 0 of 1: holds the whole model"
    assert told["chief/0"].startswith(f"{noun} 0 of 3: the whole model")
    assert told["worker/1"].startswith(f"{noun} 2 of 3: the whole model")
    assert "jupyter/0" not in told


def test_roles_outside_the_training_are_described(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", chief=1, evaluator=1, fetch=1)
    assert roles(run) == {
        "chief/0": "trains alone: it holds all variables",
        "evaluator/0": "evaluates next to the training, outside its cluster",
        "fetch/0": "not a member of the TensorFlow cluster",
    }
    assert roles(make(tmp_path, "none", a=1)) == {"a/0": "runs its command"}


def test_cut_short_at_every_byte_is_named_and_stops_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", chief=1, ps=1)
    tell(run, "chief-0", shard(0, "ps/0"))
    path = run.task("chief-0").placement
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        found = placement(run)
        assert list(found["damaged"]) == [str(path)]
        assert found["servers"][0]["bytes"] == 0


@pytest.mark.parametrize(
    "odd", [None, 3, {}, shard(0, "ps/0", bytes="many"), shard(0, "ps/0", shape=7), [1]]
)
def test_an_invalid_placement_is_skipped_and_reported(tmp_path: Path, odd: object) -> None:
    run = make(tmp_path, "tensorflow", chief=1, ps=1)
    tell(run, "chief-0", odd, shard(1, "ps/0"))
    found = placement(run)
    assert [variable["part"] for variable in found["variables"]] == [1]
    assert list(found["damaged"]) == [str(run.task("chief-0").placement)]


def test_without_a_plan_the_reported_placement_is_still_shown(tmp_path: Path) -> None:
    run = make(tmp_path, "tensorflow", chief=1, ps=1)
    tell(run, "chief-0", shard(0, "ps/0"))
    run.plan.unlink()
    found = placement(run)
    assert (found["told_by"], len(found["variables"])) == ("chief/0", 1)
