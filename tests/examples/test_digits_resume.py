"""The digits go on where they were when a rank was killed: all ranks from the same epoch."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tenfold.checkpoint import Checkpoints
from tests.conftest import pid_of, wait_for
from tests.groups import example_plan, logs

RANKS = 2


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_all_ranks_resume_from_the_same_epoch(framework: str, runs: Path) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: make test brings it")
    run = up(example_plan(f"digits-{framework}", workers=RANKS, epochs=100_000), runs=runs)
    saved = Checkpoints(place=run.directory.shared("checkpoints"))
    try:
        wait_for(lambda: saved.newest() or not run.directory.alive(), 90)
        first = saved.newest()
        assert first is not None, logs(run)
        os.kill(pid_of(run, "worker/1"), signal.SIGKILL)
        wait_for(lambda: len(resumed(run)) == RANKS or not run.directory.alive(), 90)
        epochs = resumed(run)
        assert len(epochs) == RANKS, logs(run)
        assert len(set(epochs)) == 1
        assert epochs[0] >= first.step
        wait_for(lambda: f"epoch {epochs[0] + 1}: " in said(run, 0).partition("resumed")[2], 60)
    finally:
        run.stop(kill=True, timeout_s=60)


def resumed(run: Run) -> list[int]:
    """The epochs that the ranks say they go on after."""
    found = (re.search(r"resumed after epoch (\d+)\n", said(run, rank)) for rank in range(RANKS))
    return [int(match[1]) for match in found if match]


def said(run: Run, rank: int) -> str:
    log = run.directory.task(f"worker-{rank}").log("stdout")
    return log.read_text() if log.exists() else ""
