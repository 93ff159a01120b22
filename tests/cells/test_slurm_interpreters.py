"""Slurm: tasks use the user's interpreter on every node, and refuse a node without it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tenfold.cluster.python_choice import PythonChoice
from tenfold.planning.plan import Task
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines
from tests import pythons
from tests.cells import grounds
from tests.engines.slurm import Slurm

pytestmark = pytest.mark.timeout(300)

SHOW = "import sys, tenfold; print(sys.prefix, tenfold.task().name, tenfold.__file__)"


@pytest.fixture
def ground(slurm: Slurm, runs: Path, tmp_path: Path) -> grounds.Slurm:
    del slurm
    return grounds.Slurm(runs, tmp_path)


def show(name: str) -> Task:
    """A task that prints its interpreter and where tenfold is."""
    job, _, index = name.partition("/")
    return Task(job, int(index), ("python", "-c", SHOW), workdir="/tmp")


def test_tasks_on_nodes_use_the_users_interpreter(ground: grounds.Slurm, tmp_path: Path) -> None:
    python = pythons.venv(tmp_path / "env")
    plan = ground.plan(show("chief/0"), show("worker/0"), success=("chief", "worker"))
    run = ground.begin(replace(plan, python=PythonChoice(str(python), "VIRTUAL_ENV")))
    assert run.wait(120)["state"] == "succeeded"
    for task in ("chief/0", "worker/0"):
        said = last_lines(run.directory.task(task.replace("/", "-")), 1)[0].split()
        assert said[:2] == [str(python.parents[1]), task]
        assert said[2].startswith(f"{run.directory.path}/interpreter/lib/tenfold/")


def test_a_node_without_the_interpreter_refuses_the_task(
    ground: grounds.Slurm, tmp_path: Path
) -> None:
    plan = ground.plan(show("chief/0"))
    gone = PythonChoice(str(tmp_path / "gone" / "bin" / "python"), "the cluster file")
    run = ground.begin(replace(plan, python=gone))
    status = run.wait(120)
    events, _ = read_events(run.directory.events)
    refused = [event.more["reason"] for event in events if event.kind == "task-refused"]
    words = f"{gone.path} (from the cluster file) does not exist on "
    assert status["state"] == "failed"
    assert any(words in str(reason) for reason in [*refused, status["first_failure"]])
