"""Going on in the next run where the supervisor was killed, on Docker and Slurm."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tenfold.planning.plan import Task
from tenfold.run.rundir import RunDirectory
from tests.bringup.test_resume import SCRIPT, said, step_of
from tests.cells.grounds import Docker, Ground, Slurm
from tests.conftest import wait_for

pytestmark = pytest.mark.timeout(300, func_only=True)  # the first test makes images


@pytest.mark.parametrize("cell", ["docker", "slurm"])
def test_a_run_whose_supervisor_was_killed_is_resumed(
    cell: str, runs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    ground: Ground
    if cell == "docker":
        ground = Docker(str(request.getfixturevalue("light_image")), runs, home)
    else:
        request.getfixturevalue("slurm")
        ground = Slurm(runs, home)
    command = (ground.python, "-c", SCRIPT, "/no such file")
    plan = ground.plan(Task(job="chief", index=0, command=command, workdir="/tmp"))
    broken = ground.begin(plan)
    wait_for(lambda: (step_of(broken.directory) or 0) >= 3, 90)
    os.kill(supervisor(broken.directory), signal.SIGKILL)
    wait_for(lambda: broken.status() and not broken.directory.alive(), 60)
    again = ground.begin(plan)
    try:
        wait_for(lambda: not ground.left(broken), 60)
        reached = step_of(broken.directory) or 0
        wait_for(lambda: (step_of(again.directory) or 0) > reached + 3, 90)
    finally:
        again.stop(kill=True, timeout_s=60)
    assert said(again.directory) == [f"from {reached}"], "nothing saved after it was looked at"
    assert any(f"resumes from {broken.directory.run}" in note for note in again.notes)
    wait_for(lambda: not ground.left(again), 20)


def supervisor(run: RunDirectory) -> int:
    """Its pid here; on Slurm, status.json has the one of the job's own namespace."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_text().split("\0")
                if "tenfold.supervise" in words and str(run.path) in words:
                    return int(entry.name)
    raise AssertionError("it has no supervisor here")
