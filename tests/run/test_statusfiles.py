"""`status.json` of runs and tasks: what is written can be read, and damage costs one field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tenfold.run.exceptions import Broken, TracebackFrame
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory, create
from tenfold.run.statusfiles import (
    DeathStatus,
    FirstFailureStatus,
    HangStatus,
    OddFigure,
    ResumedFrom,
    RunStatus,
    TaskStatus,
)

DEATH = DeathStatus("worker/1", 7.0, None, "SIGKILL", "was killed by SIGKILL", None, "oom")

EXCEPTION = Broken("ValueError: bad", ("ValueError: bad",), TracebackFrame("train.py", 12, "step"))

IN_EVENT_FILE = OddFigure(None, "lr", "inf", 3, 9, "steps", "tensorboard/train")

RUN = RunStatus(
    cluster="c", run="r", cell="local", state="failed", outcome="failed", reason="why",
    started=1.0, updated=2.0, ended=3.0, host="h", supervisor_pid=4242, protection="namespace",
    protection_words="nobody reaches it", resumed_from=ResumedFrom("r0", "step-3", 3),
    hang=HangStatus(5.0, "worker/1", "no progress for 5 s", "/r/report.txt", "report"),
    not_finite=(OddFigure("worker/0", "loss", "nan", 7), IN_EVENT_FILE),
    first_failure=FirstFailureStatus(DEATH, ("a", "b"), ("b",), EXCEPTION),
    consequences=(DeathStatus("chief/0", 7.5, 1, None, "exited with code 1"),),
)  # fmt: skip

TASK = TaskStatus(
    task="worker/1", job="worker", index=1, state="failed", address="h:1", host="h", pid=17,
    restarts=2, exit_code=None, signal="SIGKILL", reason="why", cause="oom", retried=(1.0, 2.0),
    url="http://127.0.0.1:6006/", urls={"http": "http://127.0.0.1:6006/"}, started=1.0, ready=2.0,
    ended=3.0,
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = create(tmp_path, "c")
    made.task("worker-1").path.mkdir(parents=True)
    return made


@pytest.mark.parametrize("status", [RUN, RunStatus()], ids=["full", "empty"])
def test_the_status_of_a_run_is_read_as_it_was_written(
    run: RunDirectory, status: RunStatus
) -> None:
    status.write(run.status)
    assert RunStatus.read(run.status) == status


@pytest.mark.parametrize("status", [TASK, TaskStatus()], ids=["full", "empty"])
def test_the_status_of_a_task_is_read_as_it_was_written(
    run: RunDirectory, status: TaskStatus
) -> None:
    directory = run.task("worker-1")
    status.write(directory.status)
    assert TaskStatus.read(directory.status) == status


def test_the_json_of_a_run_has_the_fields_of_version_1() -> None:
    first = {
        "task": "worker/1", "time": 7.0, "exit_code": None, "signal": "SIGKILL",
        "words": "was killed by SIGKILL", "reason": None, "cause": "oom", "lines": ["a", "b"],
        "stderr": ["b"], "exception": {
            "line": "ValueError: bad", "message": ["ValueError: bad"],
            "frame": {"file": "train.py", "line": 12, "function": "step", "source": None},
            "root": None,
        },
    }  # fmt: skip
    assert list(RUN.to_json().items()) == [
        ("version", 1), ("cluster", "c"), ("run", "r"), ("cell", "local"), ("state", "failed"),
        ("outcome", "failed"), ("reason", "why"), ("started", 1.0), ("updated", 2.0),
        ("ended", 3.0), ("host", "h"), ("supervisor_pid", 4242), ("protection", "namespace"),
        ("protection_words", "nobody reaches it"),
        ("resumed_from", {"run": "r0", "checkpoint": "step-3", "step": 3}),
        ("hang", {"time": 5.0, "task": "worker/1", "words": "no progress for 5 s",
                  "report": "/r/report.txt", "action": "report"}),
        ("not_finite", [
            {"task": "worker/0", "figure": "loss", "value": "nan", "since": 7, "until": None,
             "unit": "steps"},
            {"task": None, "directory": "tensorboard/train", "figure": "lr", "value": "inf",
             "since": 3, "until": 9, "unit": "steps"},
        ]),
        ("first_failure", first),
        ("consequences", [{"task": "chief/0", "time": 7.5, "exit_code": 1, "signal": None,
                           "words": "exited with code 1", "reason": None, "cause": None}]),
    ]  # fmt: skip


def test_a_file_that_is_missing_or_damaged_has_no_status(run: RunDirectory) -> None:
    assert RunStatus.read(run.status) is None
    run.status.write_bytes(b'{"state": "runn')
    assert RunStatus.read(run.status) is None
    run.task("worker-1").status.write_text("[]")
    assert TaskStatus.read(run.task("worker-1").status) is None


@pytest.mark.parametrize("name", sorted(RUN.to_json().keys() - {"version"}))
@pytest.mark.parametrize("value", [[[]], {"a": {}}, -1e300, True, "\x00"])
def test_a_field_of_a_run_with_a_wrong_value_costs_no_other(
    run: RunDirectory, name: str, value: Any
) -> None:
    write_json(run.status, RUN.to_json() | {name: value, "of a later version": 1})
    found = RunStatus.read(run.status)
    assert found is not None
    assert {k: v for k, v in found.to_json().items() if k != name} == {
        k: v for k, v in RUN.to_json().items() if k != name
    }


@pytest.mark.parametrize("name", sorted(TASK.to_json().keys() - {"version"}))
@pytest.mark.parametrize("value", [[[]], {"a": {}}, -1e300, True, "\x00"])
def test_a_field_of_a_task_with_a_wrong_value_costs_no_other(
    run: RunDirectory, name: str, value: Any
) -> None:
    directory = run.task("worker-1")
    write_json(directory.status, TASK.to_json() | {name: value, "of a later version": 1})
    found = TaskStatus.read(directory.status)
    assert found is not None
    assert {k: v for k, v in found.to_json().items() if k != name} == {
        k: v for k, v in TASK.to_json().items() if k != name
    }


def test_the_status_of_a_pending_slurm_job_can_be_read(run: RunDirectory) -> None:
    write_json(run.status, {"version": 1, "cluster": "c", "state": "starting", "host": None})
    found = RunStatus.read(run.status)
    assert found is not None
    assert (found.state, found.host, found.consequences) == ("starting", None, ())
    assert (read_json(run.status) or {})["state"] == found.state
