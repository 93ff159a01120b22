"""A command beside a task ends with whoever typed it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.cli.app import run as tenfold
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
    run.stop(timeout_s=60)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT]
)
def test_a_signal_to_the_process_group_of_exec_gives_the_commands_exit_code(
    runs: Path, isolation: str, number: signal.Signals, tmp_path: Path
) -> None:
    run = up(plan_of(shell("chief", "exec sleep 600")), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    up_yet = tmp_path / "up"
    script = f"trap 'exit 42' {int(number)}; touch {up_yet}; while :; do sleep 0.05; done"
    argv = [sys.executable, "-m", "tenfold", "exec", "--runs", str(runs), "chief", "--"]
    with subprocess.Popen(
        [*argv, "bash", "-c", script], start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as beside:
        wait_for(up_yet.exists)
        os.killpg(beside.pid, number)
        _, said = beside.communicate(timeout=30)
    assert beside.returncode == 42
    assert "tenfold" not in said
    run.stop(timeout_s=60)


def test_exec_enters_no_process_that_is_not_of_the_run(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task can write to the status file that names its pid."""
    run = up(plan_of(shell("chief", "exec sleep 600")), runs=runs, isolation="none")
    run.wait(20, for_state=("running",))
    status = run.directory.task("chief-0").status
    argv = ["exec", "--runs", str(runs), "chief", "--", "true"]
    assert tenfold(argv) == 0
    written = json.loads(status.read_text())
    with subprocess.Popen(["sleep", "600"]) as innocent:
        status.write_text(json.dumps({**written, "pid": innocent.pid}))
        assert tenfold(argv) == 1
        innocent.kill()
    assert "does not belong to this run" in capsys.readouterr().err
    run.stop(timeout_s=60)
