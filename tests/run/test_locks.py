"""Who holds a lock, and that nobody else is ever signalled, whatever a file says."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.bringup.api import interrupt
from tenfold.dashboard.launch import DashboardDirectory, claim
from tenfold.dashboard.launch import Running as RunningDashboard
from tenfold.run.jsonfiles import write_json
from tenfold.run.locks import is_held, signal_holders
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tests.conftest import wait_for

HOLD = """
import fcntl, sys, time
stream = open(sys.argv[1], "r+b")
if sys.argv[2] != "no":
    fcntl.flock(stream, fcntl.LOCK_EX if sys.argv[2] == "alone" else fcntl.LOCK_SH)
print("there", flush=True)
time.sleep(600)
"""


@contextmanager
def holder(path: Path, how: str = "alone") -> Iterator[subprocess.Popen[str]]:
    """A process that has the file open, and holds its lock `alone`, shared, or not at all."""
    path.touch()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_only_the_holder_of_the_lock_is_signalled(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as owner, holder(path, "no") as looker, holder(tmp_path / "other") as other:
        assert is_held(path)
        assert signal_holders(path) == [owner.pid]
        assert owner.wait(60) == -signal.SIGKILL
        assert not is_held(path)
        assert signal_holders(path) == []
        assert looker.poll() is None
        assert other.poll() is None


def test_a_process_that_shares_a_lock_to_read_is_not_signalled(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, "shared") as view:
        assert signal_holders(path) == []
        assert view.poll() is None


def test_the_caller_itself_is_never_signalled(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert signal_holders(tmp_path / "lock") == []


@pytest.mark.parametrize("what", ["fifo", "link", "missing", "directory"])
def test_no_lock_is_held_where_there_is_no_file(tmp_path: Path, what: str) -> None:
    path = tmp_path / "lock"
    with holder(tmp_path / "target") as other:
        match what:
            case "fifo":
                os.mkfifo(path)
            case "link":
                path.symlink_to(tmp_path / "target")
            case "directory":
                path.mkdir()
        assert not is_held(path)
        assert signal_holders(path) == []
        assert other.poll() is None


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create(tmp_path / "runs", "demo")


@pytest.mark.parametrize("forged", [1, 0, -1, "the innocent", None])
def test_a_run_is_ended_by_its_lock_and_not_by_the_pid_in_its_status(
    run: RunDirectory, tmp_path: Path, forged: int | str | None
) -> None:
    with holder(tmp_path / "other") as innocent, holder(run.lock) as supervisor:
        pid = innocent.pid if forged == "the innocent" else forged
        write_json(run.status, {"state": "running", "supervisor_pid": pid})
        assert interrupt(run) == [supervisor.pid]
        assert supervisor.wait(60) == -signal.SIGKILL
        assert interrupt(run) == []
        assert innocent.poll() is None


def test_no_process_is_killed_while_a_view_holds_the_lock(
    run: RunDirectory, tmp_path: Path
) -> None:
    with holder(tmp_path / "other") as innocent:
        write_json(run.status, {"state": "running", "supervisor_pid": innocent.pid})
        with hold_lock(run):
            assert run.alive()
            assert interrupt(run) == []
        assert innocent.poll() is None


def test_an_older_dashboard_is_ended_by_its_lock_and_not_by_the_pid_in_its_file(
    tmp_path: Path,
) -> None:
    place = DashboardDirectory(tmp_path)
    place.directory.mkdir()
    with holder(tmp_path / "other") as innocent, holder(place.lock) as older:
        first = claim(tmp_path / "elsewhere")
        assert not isinstance(first, RunningDashboard)
        place.token.write_bytes(DashboardDirectory(tmp_path / "elsewhere").token.read_bytes())
        place.token.chmod(0o600)
        first.close()
        state = {"version": 1, "tenfold": "0.0", "pid": innocent.pid, "port": 1}
        write_json(place.state, state)
        claimed = claim(tmp_path)
        assert not isinstance(claimed, RunningDashboard)
        claimed.close()
        wait_for(lambda: older.poll() is not None)
        assert older.poll() == -signal.SIGTERM
        assert innocent.poll() is None
