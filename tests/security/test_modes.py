"""Who may read a run's files: nobody but its owner, whatever the umask is."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from tenfold.bringup.api import Run
from tenfold.dashboard.launch import running
from tenfold.run.rundir import every
from tests.conftest import wait_for

FILE = """
cluster: closed
jobs:
  chief:
    run: [PYTHON, -c, "import tenfold, time; tenfold.progress(1, total=2); time.sleep(600)"]
    preload: wave
  worker: {run: "sh -c 'echo fails; exit 3'", restart: {policy: always, limit: 1000}}
"""


def open_to_others(directory: Path) -> dict[str, str]:
    """Everything in and below a directory that others may read, write or enter, with its mode."""
    return {
        str(path.relative_to(directory)): oct(path.lstat().st_mode)
        for path in (directory, *directory.rglob("*"))
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    }


def test_everything_of_a_run_is_its_owners_alone(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "tenfold.yaml").write_text(FILE.replace("PYTHON", sys.executable))
    environment = os.environ | {"TENFOLD_RUNS": str(runs), "TENFOLD_DASHBOARD": "yes"}

    def tenfold(*words: str) -> None:
        command = [sys.executable, "-m", "tenfold", *words]
        subprocess.run(command, cwd=tmp_path, env=environment, umask=0, timeout=60, check=True)

    tenfold("up", "-d")
    run = Run(next(iter(every(runs))))
    try:
        progress = run.directory.task("chief-0").path / "progress.json"
        wait_for(progress.exists)
        tenfold("stacks")
        tenfold("restart", "worker/0")
        assert stat.S_ISSOCK(run.directory.control.stat().st_mode)
        assert open_to_others(run.directory.path) == {}
        assert open_to_others(runs) == {}, "the dashboard's files are there as well"
    finally:
        run.stop(kill=True, timeout_s=60)
        board = running(runs)
        assert board is not None
        os.kill(board.pid, signal.SIGTERM)
        wait_for(lambda: running(runs) is None)
