"""A task is ready when a line of its output says so, however the line and the pattern look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import ReadinessCheck, Task
from tests.conftest import wait_for
from tests.plans import plan_of


def _task(code: str, pattern: str) -> Task:
    return Task(
        job="a",
        index=0,
        command=(sys.executable, "-c", code),
        workdir="/tmp",
        ready=ReadinessCheck("log", pattern, timeout_s=20),
    )


def _ready_then_stop(run: Run) -> None:
    try:
        wait_for(lambda: _state(run) in ("running", "failed", "stopped"), 60)
        assert _state(run) == "running"
    finally:
        run.stop(kill=True)


def _state(run: Run) -> str:
    return str(run.status()["tasks"][0]["state"])


SAYS = {
    "in colour": r"b'\x1b[1;32mready\x1b[0m\n'",
    "with CRLF": r"b'ready\r\n'",
    "over a progress bar": r"b' 10%\r 50%\rready\n'",
    "without a newline": r"b'ready'",
}


@pytest.mark.parametrize("how", SAYS)
def test_a_line_counts_as_logs_shows_it(runs: Path, how: str) -> None:
    code = f"import os, time; os.write(1, {SAYS[how]}); time.sleep(600)"
    run = up(plan_of(_task(code, "^ready$")), runs=runs)
    _ready_then_stop(run)


def test_a_pattern_that_would_take_for_ever_freezes_nothing(runs: Path) -> None:
    code = "import time; print('a' * 60 + '!', flush=True); print('ready'); time.sleep(600)"
    code = code.replace("print('ready')", "print('aaa', flush=True)")
    run = up(plan_of(_task(code, "^(a+)+$")), runs=runs)
    _ready_then_stop(run)


def test_the_run_directory_in_a_pattern_stands_for_itself(tmp_path: Path) -> None:
    code = (
        "import os, time; print(os.environ['TENFOLD_RUN_DIRECTORY'], flush=True); time.sleep(600)"
    )
    task = _task(code, "^${run.directory}$")
    run = up(plan_of(task), runs=tmp_path / "of [all (kinds+")
    _ready_then_stop(run)
