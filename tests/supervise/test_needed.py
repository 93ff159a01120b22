"""Jobs whose failure a run survives: `needed: false`."""

from __future__ import annotations

import sys
from pathlib import Path

from tenfold.bringup.api import Run, up
from tenfold.cluster.file import loads
from tenfold.planning.planner import plan
from tests.conftest import wait_for

from .histories import History, task

FREE = {"needed": False}


def of(jobs: str, more: str = "framework: none") -> dict[str, bool]:
    """Whether each job's first task is needed."""
    made = plan(loads(f"cluster: c\n{more}\njobs: {{{jobs}}}"))
    return {tasks[0].job: tasks[0].needed for tasks in made.jobs().values()}


def test_the_file_sets_which_job_is_needed() -> None:
    assert of("a: {run: x, needed: false}, b: {run: x}") == {"a": False, "b": True}
    chief, evaluator = "chief: {run: x}", "evaluator: {run: x}"
    usual = of(f"{chief}, {evaluator}", "framework: tensorflow")
    assert usual == {"chief": True, "evaluator": False}
    assert of(f"{chief}, {evaluator}", "framework: tensorflow\nsuccess: [evaluator]")["evaluator"]
    assert of(f"{chief}, evaluator: {{run: x, needed: true}}", "framework: tensorflow")["evaluator"]


def test_single_tasks_can_be_needed() -> None:
    made = plan(
        loads("""
cluster: c
framework: none
jobs: {a: {run: x, tasks: 3, needed: false, overrides: {0: {needed: true}}}}
""")
    )
    assert [task.needed for task in made.tasks] == [True, False, False]


def test_success_does_not_wait_for_what_is_not_needed() -> None:
    text = "cluster: c\nframework: none\njobs: {a: {run: x, needed: false}, b: {run: x}}"
    assert plan(loads(text)).success == ("b",)
    assert plan(loads(text.replace("b: {", "b: {needed: false, "))).success == ("a", "b")


def test_the_run_continues_without_a_task_and_succeeds_with_the_rest() -> None:
    history = History(task("node/0", **FREE), task("node/1", **FREE), success=("node",))
    history.step(0)
    history.ends("node/1", None, 9)
    history.step(1)
    assert history.state.outcome is None
    history.ends("node/0")
    history.step(2)
    assert history.state.outcome == "succeeded"
    assert history.state.reason == "node finished, without node/1"


def test_the_run_fails_when_no_task_of_a_success_job_is_left() -> None:
    history = History(task("node/0", **FREE), task("node/1", **FREE), success=("node",))
    history.step(0)
    history.ends("node/1", None, 9)
    history.step(1)
    history.ends("node/0", 3)
    history.step(2)
    assert history.state.outcome == "failed"


def test_a_needed_task_fails_the_run_whatever_else_was_lost_before() -> None:
    history = History(task("chief"), task("node/0", **FREE))
    history.step(0)
    history.ends("node/0", 1)
    history.step(1)
    assert history.state.outcome is None
    history.ends("chief/0", 1)
    history.step(2)
    assert history.state.outcome == "failed"
    assert history.state.reason == "chief/0 exited with code 1"


def test_a_real_run_survives_a_task_that_is_not_needed(tmp_path: Path, runs: Path) -> None:
    wait = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
    (tmp_path / "wait.py").write_text(wait)
    text = f"""
cluster: c
framework: none
jobs:
  node:
    tasks: 2
    needed: false
    run: [{sys.executable}, wait.py]
    overrides: {{1: {{run: [sh, -c, 'touch went; exit 3']}}}}
"""
    run = up(loads(text, directory=tmp_path), runs=runs)
    wait_for(lambda: _states(run).get("node/1") == "failed", 60)
    assert _states(run)["node/0"] == "running"
    (tmp_path / "go").touch()
    status = run.wait(60)
    assert (status["state"], status["reason"]) == ("succeeded", "node finished, without node/1")
    assert _states(run)["node/1"] == "failed"


def _states(run: Run) -> dict[str, str]:
    return {task["task"]: task["state"] for task in run.status()["tasks"]}
