"""What `scontrol` prints about a job, and what follows for a run. A fake command, no Slurm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.cells.settling import Settler
from tenfold.cells.slurm.commands import batch_host, is_job_of, job_state, why_told
from tenfold.errors import UnavailableError
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import create
from tests.plans import plan_of, shell

RUNNING = "JobId=17 JobState=RUNNING Reason=None ExitCode=0:0 Restarts=0 BatchHost=n1"


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `scontrol` that prints what is in the file, which is empty."""
    programs, answer = tmp_path / "bin", tmp_path / "answer"
    programs.mkdir()
    answer.write_text("")
    program = programs / "scontrol"
    program.write_text(f"#!/bin/sh\ncat {answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return answer


@pytest.mark.parametrize("printed", ["", "\n", "JobId=17\n"])
def test_a_silent_scontrol_is_not_the_end_of_the_job(scontrol: Path, printed: str) -> None:
    scontrol.write_text(printed)
    for ask in (job_state, batch_host, lambda job: why_told(job, 0),
                lambda job: is_job_of(job, "/x/job.sbatch")):  # fmt: skip
        with pytest.raises(UnavailableError, match="printed nothing about Slurm job 17"):
            ask("17")


def test_a_running_job_is_not_cancelled(scontrol: Path) -> None:
    scontrol.write_text(f"{RUNNING}\n")
    assert why_told("17", 0) is None
    assert batch_host("17") == "n1"


def test_a_silent_scontrol_leaves_the_status_of_a_run_alone(scontrol: Path, runs: Path) -> None:
    run = create(runs, "c")
    write_json(run.plan, plan_of(shell("chief", "true"), cell="slurm").to_json())
    write_json(run.elsewhere, {"cell": "slurm", "job": "17"})
    write_json(run.status, {"version": 1, "state": "running", "updated": 1.0})
    Settler().settle(run)
    assert (read_json(run.status) or {})["state"] == "running"
    scontrol.write_text(f"{RUNNING}\n".replace("RUNNING", "NODE_FAIL"))
    Settler().settle(run)
    assert (read_json(run.status) or {})["state"] == "failed"
