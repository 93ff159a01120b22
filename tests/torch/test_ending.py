"""Ranks at their very end: groups that are destroyed at once, and ranks that stay behind."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.run.eventlog import read_events
from tenfold.views.why import account
from tests.conftest import wait_for
from tests.groups import ROOT, said, script_plan, succeeded

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: make test brings it",
)

DESTROYED = """
import os, pathlib
import torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

print("wrapped", hasattr(dist.destroy_process_group, "__wrapped__"))

def train(number):
    store = pathlib.Path(f"store-{number}").absolute().as_uri()
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
    network = DistributedDataParallel(torch.nn.Linear(64, 64))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(8, 64)).square().mean().backward()
        optimizer.step()
    dist.destroy_process_group()

for number in range(40):  # without the wait one of ten hangs
    train(number)
print("rounds 40")
"""


def test_groups_destroyed_right_after_the_last_step_end(runs: Path, tmp_path: Path) -> None:
    jobs = "{worker: {run: python train.py, tasks: 3}}"
    run = succeeded(script_plan(tmp_path, "torch", jobs, DESTROYED), runs, "auto")
    assert set(said(run, "wrapped").values()) == {"True"}
    assert len(said(run, "rounds")) == 3


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry points of pyproject.toml, as an installation of tenfold would have them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    home = tmp_path / "site" / "hook-1.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: hook\nVersion: 1\n")
    points = project["entry-points"]["torch.backends"]
    text = "".join(f"{name} = {value}\n" for name, value in points.items())
    (home / "entry_points.txt").write_text(f"[torch.backends]\n{text}")
    monkeypatch.setenv("PYTHONPATH", str(home.parent))


@pytest.mark.usefixtures("installed")
def test_a_script_that_is_not_preloaded_ends_too(runs: Path, tmp_path: Path) -> None:
    jobs = "{worker: {run: python train.py, tasks: 3, preload: none}}"
    run = succeeded(script_plan(tmp_path, "torch", jobs, DESTROYED), runs, "auto")
    assert set(said(run, "wrapped").values()) == {"True"}
    assert len(said(run, "rounds")) == 3


STAYS = """
import pathlib, time
import torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
dist.barrier()
dist.destroy_process_group()
while rank == 1 and not pathlib.Path("go-on").exists():
    time.sleep(0.1)
"""


def test_a_rank_that_does_not_end_is_reported_and_not_killed(runs: Path, tmp_path: Path) -> None:
    jobs = "{worker: {run: python train.py, tasks: 3}}"
    run = up(script_plan(tmp_path, "torch", jobs, STAYS), runs=runs)
    told = "worker/1 still runs; the other 2 ranks finished"

    def notes() -> list[str]:
        events, _ = read_events(run.directory.events)
        return [str(event.more["message"]) for event in events if event.kind == "note"]

    wait_for(lambda: any(note.startswith(told) for note in notes()), 90)
    why = account(run.directory).to_json()
    assert told in why["headline"]
    assert [(one["kind"], one["task"]) for one in why["troubles"]] == [("lingering", "worker/1")]
    (tmp_path / "go-on").touch()
    assert run.wait(60)["state"] == "succeeded"
    assert sum(note.startswith(told) for note in notes()) == 1
