"""What `tenfold init` writes trains on a real cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tenfold.checkpoint import Checkpoints
from tenfold.cli import run

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)


@needs_tensorflow
def test_the_starter_trains_and_saves(tmp_path: Path, runs: Path) -> None:
    directory = tmp_path / "first"
    assert run(["init", str(directory)]) == 0
    made = up(planned(directory / "tenfold.yaml", overrides=["vars.steps=100"]), runs=runs)
    assert made.wait(timeout_s=300)["state"] == "succeeded"
    said = (made.directory.task("chief-0").path / "stdout.log").read_text()
    assert "step 100 of 100" in said
    found = Checkpoints(place=made.directory.shared("checkpoints")).newest()
    assert found is not None
    assert found.step == 100
    assert list((made.directory.path / "tensorboard" / "train").glob("events.*"))
