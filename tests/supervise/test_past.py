"""What a supervisor takes over from one that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.run.jsonfiles import write_json
from tenfold.run.resumed import SetAside
from tenfold.run.rundir import RunDirectory, create
from tenfold.run.statusfiles import ResumedFrom
from tenfold.supervise import past


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run directory in which nothing has happened."""
    return create(tmp_path, "c")


def test_a_run_that_does_not_resume_has_no_past(run: RunDirectory) -> None:
    assert past.retried(run) == {}
    assert past.resumed(run) is None


def test_used_restarts_of_the_resumed_run_still_count(run: RunDirectory) -> None:
    said = {"run": "c/1", "checkpoint": "step-3", "step": 3, "retried": {"worker/0": [1.0, 2]}}
    write_json(run.resumed, said)
    assert past.retried(run) == {"worker/0": (1.0, 2.0)}
    assert past.resumed(run) == ResumedFrom(run="c/1", checkpoint="step-3", step=3)


def test_used_restarts_still_count_when_the_cell_restarts_the_supervisor(
    run: RunDirectory,
) -> None:
    directory = run.task("worker-0")
    directory.path.mkdir()
    write_json(directory.status, {"task": "worker/0", "retried": [5.0]})
    assert past.retried(run) == {"worker/0": (5.0,)}


@pytest.mark.parametrize("text", ["", "{", '{"retried": 7}', '{"retried": {"a/0": "x"}}', "[]"])
def test_a_damaged_past_is_ignored(run: RunDirectory, text: str) -> None:
    run.resumed.write_text(text)
    directory = run.task("a-0")
    directory.path.mkdir()
    directory.status.write_text('{"task": "a/0", "retried": {"no": "list"}}')
    assert past.retried(run).get("a/0", ()) == ()


def test_renamed_files_of_the_resumed_run_are_read(run: RunDirectory) -> None:
    said = {"run": "c/1", "set_aside": [{"file": "a/step-3", "as": "step-3.damaged"}, 7]}
    write_json(run.resumed, said)
    assert past.set_aside(run) == (SetAside("a/step-3", "step-3.damaged"),)
    write_json(run.resumed, {"set_aside": 7})
    assert past.set_aside(run) == ()
