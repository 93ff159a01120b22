"""Real PyTorch clusters: unmodified DDP scripts, the example, and ranks that are lost."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tests.groups import (
    ROOT,
    example_plan,
    failure,
    killed_and_together_again,
    logs,
    said,
    script_plan,
    succeeded,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="PyTorch is not installed: make test brings it",
)

DDP = """
import os, sys
print("preloaded", "torch._dynamo" in sys.modules)
import torch, torch.distributed as dist
dist.init_process_group("gloo")
network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 2))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
torch.manual_seed(dist.get_rank())
for _ in range(3):
    optimizer.zero_grad()
    network(torch.randn(8, 4)).square().mean().backward()
    optimizer.step()
total = torch.tensor(float(dist.get_rank()))
dist.all_reduce(total)
print("rank", dist.get_rank(), dist.get_world_size(), os.environ["LOCAL_RANK"], int(total))
print("weights", network.module.weight.detach().numpy().tobytes().hex())
dist.destroy_process_group()
"""


def test_an_unmodified_ddp_script_trains_on_chief_and_workers(
    runs: Path, tmp_path: Path, isolation: str
) -> None:
    jobs = "{worker: {run: python train.py, tasks: 2}, chief: {run: python train.py}}"
    run = succeeded(script_plan(tmp_path, "torch", jobs, DDP), runs, isolation)
    assert said(run, "rank") == {"chief-0": "0 3 0 3", "worker-0": "1 3 1 3", "worker-1": "2 3 2 3"}
    assert len(set(said(run, "weights").values())) == 1
    if sys.platform == "linux":
        assert set(said(run, "preloaded").values()) == {"True"}


def test_a_job_beside_the_workers_is_not_waited_for(runs: Path, tmp_path: Path) -> None:
    jobs = """{worker: {run: python train.py, after: {fetch: succeeded}, preload: none},
               fetch: {run: python -c "print('fetched')"}}"""
    run = succeeded(script_plan(tmp_path, "torch", jobs, DDP), runs, "auto")
    assert said(run, "rank") == {"worker-0": "0 1 0 0"}
    assert said(run, "preloaded") == {"worker-0": "False"}


LOST = """
import pathlib, time
import torch, torch.distributed as dist
import tenfold
group = tenfold.torch.initialize()
print("group", group.rank, group.size, group.backend, dist.is_initialized(), flush=True)
assert tenfold.torch.initialize() == group
for step in range(4000):
    dist.all_reduce(torch.ones(1000))
    if step == 3:
        (tenfold.task().results / f"together-{group.rank}").touch()
    if step == 5 and (group.rank, group.size) == RAISES:
        raise ValueError("a bad day")
    time.sleep(0.01)
"""


def lose(tmp_path: Path, runs: Path, isolation: str, raises: tuple[int, int] = (9, 9)) -> Run:
    """A run of three ranks that compute together for 40 s, or until `raises` (rank, size) does."""
    script = LOST.replace("RAISES", str(raises))
    jobs = "{worker: {run: python train.py, tasks: 3}}"
    return up(script_plan(tmp_path, "torch", jobs, script), runs=runs, isolation=isolation)


@pytest.mark.parametrize(("rank", "isolation"), [(0, "namespace"), (1, "none")])
def test_when_a_rank_is_killed_all_start_again_together(
    rank: int, runs: Path, tmp_path: Path, isolation: str
) -> None:
    killed_and_together_again(lose(tmp_path, runs, isolation), f"worker/{rank}")


@pytest.mark.parametrize("rank", [0, 2])
def test_a_rank_that_raises_is_named_before_those_that_lost_it(
    rank: int, runs: Path, tmp_path: Path
) -> None:
    run = lose(tmp_path, runs, "auto", (rank, 3))
    first = failure(run, 120)
    assert (first["task"], first["exit_code"]) == (f"worker/{rank}", 1)
    assert all(task["restarts"] == 0 for task in run.status()["tasks"])
    assert set(said(run, "group").values()) == {f"{n} 3 gloo True" for n in range(3)}
    assert first["lines"][-1] == f"[rank{rank}]: ValueError: a bad day"  # PyTorch marks them


def test_the_example_trains_to_its_end(runs: Path) -> None:
    run = succeeded(example_plan("digits-torch", workers=3, epochs=12), runs, "auto")
    weights = said(run, "rank")
    assert {words.split(":")[0] for words in weights.values()} == {f"{n} of 3" for n in range(3)}
    assert len({words.split(":")[1] for words in weights.values()}) == 1
    losses = [float(line.split()[-1]) for line in logs(run)["worker-0"] if "loss" in line]
    assert losses[-1] < losses[0] / 4
    result = json.loads((run.directory.shared("results") / "result.json").read_text())
    assert result["accuracy"] > 0.9
    assert (run.directory.shared("results") / "digits.pt").exists()
    assert list(run.directory.shared("tensorboard").rglob("events.out.tfevents.*"))


@pytest.mark.parametrize(
    "starter", [(), ("-m", "torch.distributed.run", "--nproc-per-node", "2")], ids=["alone", "run"]
)
def test_the_example_needs_no_cluster(
    starter: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # more threads would only wait for each other
    train = ROOT / "examples" / "digits-torch" / "train.py"
    command = [sys.executable, *starter, str(train), "--epochs", "8", "--results", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["ranks"] == (2 if starter else 1)
    assert result["accuracy"] > 0.9
