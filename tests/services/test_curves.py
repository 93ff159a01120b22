"""The cluster's own curves, written by a process as TensorBoard's task is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.services.curves import points_of
from tenfold.views.training import TrainingReader
from tests.conftest import wait_for
from tests.dashboard.fake_runs import FakeRun

WRITE = """
import sys, time
from pathlib import Path
from tenfold.rundir import RunDirectory
from tenfold.services import curves
curves.EVERY_S = 0.2
curves.keep_writing(RunDirectory(Path(sys.argv[1])))
time.sleep(600)
"""


def test_points_are_put_together_by_job() -> None:
    group = {"from": "ps", "to": "worker", "bytes": 10, "rate_bytes_s": 5.0}
    silent = {"from": "chief", "to": "ps", "bytes": 0, "rate_bytes_s": 0.0}
    unknown = {"from": "chief", "to": "worker", "bytes": None, "rate_bytes_s": 0.0}
    usage: dict[str, dict[str, Any]] = {
        "worker/0": {"cpu": 0.5, "memory": 100},
        "worker/1": {"cpu": 0.25, "memory": 50},
        "ps/0": {"cpu": None, "memory": None},
    }
    assert dict(points_of({"groups": [group, silent, unknown]}, usage)) == {
        "traffic, bytes a second/ps - worker": 5.0,
        "CPU, cores/worker": 0.75,
        "memory, bytes/worker": 150,
    }


def test_curves_are_where_tensorboard_looks(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: make test brings it")
    with FakeRun(tmp_path / "runs") as run:
        run.flow(1.0)
        reader = TrainingReader(run.directory)
        with subprocess.Popen([sys.executable, "-c", WRITE, str(run.directory.path)]) as writer:
            try:
                wait_for(lambda: reader.read()["runs"], 60)
            finally:
                writer.kill()
        (found,) = reader.read()["runs"]
        assert found["name"] == "tenfold"
        assert "traffic, bytes a second/ps - worker" in {curve["tag"] for curve in found["tags"]}
