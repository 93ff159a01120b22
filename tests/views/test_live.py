"""A run as a page shows it, whatever its files hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views.live import BriefReader, LiveReader


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with one task, that nobody supervises."""
    made = create(tmp_path, "c")
    tasks = [{"task": "a/0", "job": "a", "index": 0}]
    write_json(made.plan, {"cluster": "c", "framework": "torch", "tasks": tasks})
    write_json(made.status, {"state": "running", "started": 1.0, "updated": 3.0})
    made.task("a-0").path.mkdir()
    write_json(made.task("a-0").status, {"state": "running", "started": 10.0})
    return made


def _progress(run: RunDirectory, **more: Any) -> None:
    said = {"done": 1, "total": 2, "time": 20.0, "unit": "words", "rate": 3.0, "figures": {"l": 1}}
    write_json(run.task("a-0").progress, said | more)


def test_only_progress_of_the_current_run_is_shown(run: RunDirectory) -> None:
    reader = LiveReader(run)
    with hold_lock(run):
        assert reader.read().to_json()["tasks"][0]["progress"] is None
        _progress(run)
        assert reader.read().to_json()["tasks"][0]["progress"]["rate"] == 3.0
        _progress(run, time=5.0)
        assert reader.read().to_json()["tasks"][0]["progress"] is None


def test_progress_of_odd_types(run: RunDirectory) -> None:
    _progress(run, rate="fast", figures=[1], unit=None)
    told = LiveReader(run).read().to_json()["tasks"][0]["progress"]
    assert (told["rate"], told["figures"], told["unit"]) == (None, {}, "steps")


def test_the_plan_gives_the_framework_and_the_lock_whether_a_run_is_alive(
    run: RunDirectory,
) -> None:
    told = LiveReader(run).read().to_json()
    assert (told["framework"], told["alive"], told["state"]) == ("torch", False, "failed")
    with hold_lock(run):
        told = LiveReader(run).read().to_json()
    assert (told["alive"], told["state"]) == (True, "running")


def test_a_status_of_odd_types_is_shown_as_far_as_it_goes(run: RunDirectory) -> None:
    write_json(run.status, {"state": "running", "updated": "yesterday"})
    with hold_lock(run):
        told = LiveReader(run).read().to_json()
    assert told["alive"]
    assert (told["cluster"], told["age_s"]) == ("c", None)


def test_a_task_with_an_invalid_name_is_reported(run: RunDirectory) -> None:
    run.plan.unlink()
    write_json(run.task("a-0").status, {"task": 5})
    now = LiveReader(run).read().to_json()
    assert [task["task"] for task in now["tasks"]] == ["a/0"]
    assert str(run.task("a-0").status) in now["damaged"]


def test_an_ended_run_is_read_once(run: RunDirectory) -> None:
    reader = BriefReader()
    write_json(run.status, {"state": "succeeded", "started": 1.0, "updated": 3.0})
    first = reader.read(run)
    assert (first.run.status.state, first.states) == ("succeeded", {"running": 1})
    assert reader.read(run) is first
    os.utime(run.status)
    assert reader.read(run) == first
    reader.forget_but([])
    assert reader.read(run) == first
