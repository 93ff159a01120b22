"""A command beside a task ends with whoever typed it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.api import up
from tests.conftest import survivors, wait_for
from tests.plans import plan_of, shell


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_ending_exec_ends_its_command(runs: Path, isolation: str, number: signal.Signals) -> None:
    run = up(plan_of(shell("chief", "exec sleep 600")), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    wait_for(lambda: len(survivors(run.directory.path)) == 1)  # none is seen in the midst of exec
    command = [sys.executable, "-m", "tenfold", "exec", "--runs", str(runs), "chief", "--"]
    with subprocess.Popen([*command, "sleep", "601"]) as beside:
        wait_for(lambda: len(survivors(run.directory.path)) == 2)
        beside.send_signal(number)
    wait_for(lambda: len(survivors(run.directory.path)) == 1, 5)
    run.stop(timeout_s=20)
