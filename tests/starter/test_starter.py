"""What `tenfold init` writes trains on a real cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tenfold.checkpoint import Checkpoints
from tenfold.cli import run
from tests.starter import scripts

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)


@needs_tensorflow
def test_the_starter_trains_and_saves(tmp_path: Path, runs: Path) -> None:
    directory = tmp_path / "first"
    assert run(["init", str(directory), "--framework", "tensorflow"]) == 0
    made = up(planned(directory / "tenfold.yaml", overrides=["vars.steps=100"]), runs=runs)
    assert made.wait(timeout_s=300)["state"] == "succeeded"
    said = (made.directory.task("chief-0").path / "stdout.log").read_text()
    assert "step 100 of 100" in said
    found = Checkpoints(place=made.directory.shared("checkpoints")).newest()
    assert found is not None
    assert found.step == 100
    assert list((made.directory.path / "tensorboard" / "train").glob("events.*"))


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)


@needs_torch
def test_an_unmodified_script_runs_as_under_torchrun(tmp_path: Path, runs: Path) -> None:
    (tmp_path / "train.py").write_text(scripts.DDP)
    source = "torchrun --nproc-per-node 2 train.py --lr 0.25"
    assert run(["init", str(tmp_path), "--from", source]) == 0
    made = up(planned(tmp_path / "tenfold.yaml"), runs=runs)
    assert made.wait(timeout_s=300)["state"] == "succeeded"
    for rank in range(2):
        said = (made.directory.task(f"worker-{rank}").path / "stdout.log").read_text()
        assert f"rank {rank} of 2 lr 0.25" in said
    assert (tmp_path / "model.pt").exists()


def test_the_example_without_a_framework_trains(tmp_path: Path, runs: Path) -> None:
    assert run(["init", str(tmp_path / "plain"), "--framework", "none"]) == 0
    made = up(planned(tmp_path / "plain" / "tenfold.yaml"), runs=runs)
    assert made.wait(timeout_s=120)["state"] == "succeeded"
    said = (made.directory.task("worker-1").path / "stdout.log").read_text()
    assert "step 200 of 200" in said
