"""torchrun's elastic mode inside a job: the run survives the loss of an agent."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tenfold.bringup.api import Run, up
from tenfold.cluster.file import load
from tenfold.run.logs import last_lines
from tests.conftest import pid_of, wait_for
from tests.own_process import require

TRAIN = """
import os, time, torch, torch.distributed as dist
dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
step = int(open("step").read()) if os.path.exists("step") else 0
print(f"rank {rank} of {size} from step {step}", flush=True)
while not (size == 1 and step > 5):
    total = torch.ones(1)
    dist.all_reduce(total)
    assert total.item() == size
    step += 1
    if rank == 0:
        open("step", "w").write(str(step))
    time.sleep(0.2)
print(f"done with {size}", flush=True)
dist.destroy_process_group()
"""

FILE = """
cluster: elastic
framework: none
vars:
  torchrun: [PYTHON, -m, torch.distributed.run, --nnodes, "1:2", --max-restarts, "3",
    --rdzv-backend, c10d, --rdzv-id, elastic, --rdzv-endpoint, "${jobs.node.addresses.0}",
    --local-addr, 127.0.0.1]
jobs:
  node:
    tasks: 2
    needed: false
    env: {GLOO_SOCKET_IFNAME: lo}
    run: ["${torchrun}", --rdzv-conf, "is_host=0,last_call_timeout=2", train.py]
    overrides:
      0:
        needed: true
        run: ["${torchrun}", --rdzv-conf, "is_host=1,last_call_timeout=2", train.py]
"""


def test_elastic_torchrun_continues_without_a_killed_agent(tmp_path: Path, runs: Path) -> None:
    require("torch")
    (tmp_path / "train.py").write_text(TRAIN)
    file = tmp_path / "tenfold.yaml"
    file.write_text(FILE.replace("PYTHON", sys.executable))
    run = up(load(file), runs=runs)
    try:
        wait_for(lambda: (tmp_path / "step").exists(), 180)
        _kill(run, "node/1")
        status = run.wait(240)
    finally:
        run.stop(kill=True)
    assert (status["state"], status["reason"]) == ("succeeded", "node finished, without node/1")
    assert "done with 1" in last_lines(run.directory.task("node-0"), 20)


def _kill(run: Run, name: str) -> None:
    os.killpg(pid_of(run, name), signal.SIGKILL)
