"""Two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import create
from tenfold.views.compare import MOST_DIFFERENCES, compare, differences

CURVES = {"runs": [{"name": "train", "tags": [{"tag": "loss", "values": [3.0, 2.0, None]}]}]}


def _plan(workers: int, **more: Any) -> dict[str, Any]:
    tasks = [
        {"task": f"worker/{n}", "job": "worker", "index": n, "command": ["python", "x"], "env": {}}
        for n in range(workers)
    ]
    return {"version": 1, "cluster": "c", "framework": "none", "tasks": tasks} | more


def _paths(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {item["path"]: (item["a"], item["b"]) for item in differences(one, other)}


def test_equal_plans_differ_in_nothing() -> None:
    assert _paths(_plan(3), _plan(3)) == {}


def test_another_number_of_tasks_is_one_difference() -> None:
    assert _paths(_plan(3), _plan(30)) == {"jobs.worker.tasks": (3, 30)}


def test_a_change_of_all_tasks_is_listed_once_and_one_of_a_single_task_by_index() -> None:
    one, other = _plan(3), _plan(3)
    for task in other["tasks"]:
        task["env"] = {"RATE": "2"}
    other["tasks"][1]["command"] = ["python", "y"]
    assert _paths(one, other) == {
        "jobs.worker.env": ({}, None),
        "jobs.worker.env.RATE": (None, "2"),
        "jobs.worker.command": (["python", "x"], None),
        "jobs.worker.command.0": (None, ["python", "x"]),
        "jobs.worker.command.1": (None, ["python", "y"]),
        "jobs.worker.command.2": (None, ["python", "x"]),
    }


def test_nested_differences_have_a_path() -> None:
    one = _plan(1, settings={"a": {"b": 1}, "volumes": [{"x": 1}]})
    other = _plan(1, settings={"a": {"b": 2}, "volumes": [{"x": 1}, {"x": 3}]})
    assert _paths(one, other) == {"settings.a.b": (1, 2), "settings.volumes[1].x": (None, 3)}


def test_compared_values_are_the_final_ones(tmp_path: Path) -> None:
    runs = [create(tmp_path, "c") for _ in range(2)]
    for number, run in enumerate(runs):
        write_json(run.plan, _plan(1))
        write_json(run.status, {"state": "succeeded", "started": 10.0, "ended": 12.5 + number})
        said = {"done": 5, "total": 5, "time": 11.0, "unit": "words", "rate": 7.5 * (1 + number)}
        run.task("worker-0").path.mkdir()
        write_json(run.task("worker-0").progress, said | {"figures": {"epoch": f"{number}/3"}})
    told = compare(runs[0], runs[1], {"a": CURVES, "b": {"runs": []}})
    figures = {item["name"]: (item["a"], item["b"]) for item in told["figures"]}
    assert figures["seconds"] == (2.5, 3.5)
    assert figures["worker/0 words/s"] == (7.5, 15.0)
    assert figures["worker/0 epoch"] == ("0/3", "1/3")
    assert figures["train/loss"] == (2.0, None)
    assert told["a"]["run"] == runs[0].run
    assert told["plan"] == []


def test_plans_that_make_no_sense(tmp_path: Path) -> None:
    runs = [create(tmp_path, "c") for _ in range(2)]
    runs[0].plan.write_text('{"tasks": 5, "x": [[]], "y": {"": null}}')
    runs[1].plan.write_text("[")
    told = compare(runs[0], runs[1], {})
    assert {item["path"] for item in told["plan"]} == {"x[0]", "y."}
    assert str(runs[1].plan) in told["damaged"]


def test_a_great_many_differences_are_cut(tmp_path: Path) -> None:
    runs = [create(tmp_path, "c") for _ in range(2)]
    write_json(runs[0].plan, {f"k{n}": n for n in range(MOST_DIFFERENCES + 5)})
    told = compare(runs[0], runs[1], {})
    assert len(told["plan"]) == MOST_DIFFERENCES
    assert told["cut"]
