"""What tests of torch and JAX share: a script as a cluster, and what became of its ranks."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tenfold.bringup.api import Run, planned, up
from tenfold.cluster.file import load, loads
from tenfold.planning.plan import Plan
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines
from tests.conftest import pid_of, wait_for

ROOT = Path(__file__).resolve().parents[1]


def script_plan(directory: Path, framework: str, jobs: str, script: str) -> Plan:
    """The plan of these jobs, whose `run` is `python train.py`: `script`, in `directory`."""
    (directory / "train.py").write_text(script)
    text = f"cluster: group\nframework: {framework}\njobs: {jobs}\n"
    return planned(loads(text, directory=directory))


def example_plan(name: str, **variables: object) -> Plan:
    """The plan of an example without TensorBoard; `workers` is how many."""
    settings = {"jobs.worker.tasks": variables.pop("workers"), "tensorboard": False}
    settings |= {f"vars.{name}": value for name, value in variables.items()}
    words = [f"{name}={value}" for name, value in settings.items()]
    return planned(load(ROOT / "examples" / name / "tenfold.yaml", settings=words))


def succeeded(plan: Plan, runs: Path, isolation: str, timeout_s: float = 120) -> Run:
    """A run of `plan`, which has to end well."""
    run = up(plan, runs=runs, isolation=isolation)
    status = run.wait(timeout_s)
    assert status["state"] == "succeeded", (status["first_failure"], logs(run))
    return run


def logs(run: Run) -> dict[str, list[str]]:
    """The last lines of each task."""
    names = [task["task"].replace("/", "-") for task in run.status()["tasks"]]
    return {name: last_lines(run.directory.task(name), 60) for name in names}


def said(run: Run, beginning: str) -> dict[str, str]:
    """By task, the rest of the one line that begins so."""
    found = {}
    for name, lines in logs(run).items():
        rests = [line.removeprefix(beginning) for line in lines if line.startswith(beginning)]
        if rests:
            assert len(rests) == 1
            found[name] = rests[0].strip()
    return found


def together(run: Run) -> list[Path]:
    """What all ranks have written as soon as they compute together."""
    marks = [run.directory.shared("results") / f"together-{n}" for n in range(_tasks(run))]
    wait_for(lambda: all(p.exists() for p in marks) or not run.directory.alive(), 90)
    assert all(p.exists() for p in marks), logs(run)
    return marks


def _tasks(run: Run) -> int:
    return len(run.status()["tasks"])


def killed_and_together_again(run: Run, name: str) -> None:
    """SIGKILL to a task of ranks that compute together; all have to start again, and do so."""
    for mark in together(run):
        mark.unlink()
    os.kill(pid_of(run, name), signal.SIGKILL)
    together(run)
    status = run.stop(kill=True, timeout_s=60)
    assert [task["restarts"] for task in status["tasks"]] == [1] * _tasks(run)
    events, _ = read_events(run.directory.events)
    retried = [event for event in events if event.kind == "task-retried"]
    assert [event.task for event in retried] == [name]
    assert retried[0].text("because") == "was killed by SIGKILL"


def failure(run: Run, timeout_s: float = 60) -> dict[str, Any]:
    """The first failure of a run, which has to fail."""
    status = run.wait(timeout_s)
    assert status["state"] == "failed"
    return dict(status["first_failure"])
