"""PyTorch in an environment that has neither tenfold nor its packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tests import pythons
from tests.conftest import survivors

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is missing"),
]

TRAIN = """
import sys
import torch
import torch.distributed as dist
import tenfold
group = tenfold.torch.initialize()
total = torch.ones(1) * (group.rank + 1)
dist.all_reduce(total)
tenfold.progress(1, 1, loss=float(total))
in_order = hasattr(dist.destroy_process_group, "__wrapped__")
print("sum", float(total), in_order, "tenfold.launch.preload" in sys.modules, sys.prefix)
dist.destroy_process_group()
"""


def test_ranks_train_forked_and_under_torchrun(tmp_path: Path, runs: Path) -> None:
    python = pythons.with_packages(pythons.venv(tmp_path / "env"))
    script = "import sys; from torch.distributed.run import main; sys.exit(main())\n"
    pythons.script(python.parent / "torchrun", f"#!{python}\n{script}")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "tenfold.yaml").write_text(
        "cluster: c\nframework: torch\npython: env\njobs:\n"
        "  worker: {run: python train.py, tasks: 2}\n"
        "  elastic: {run: torchrun --nproc-per-node 2 --standalone train.py, after: "
        "{worker: succeeded}}\n"
        "success: [worker, elastic]\n"
    )
    run = up(planned(tmp_path / "tenfold.yaml"), runs=runs)
    assert run.wait(240)["state"] == "succeeded"
    assert survivors(run.directory.path) == []
    for label, forked in (("worker-0", True), ("worker-1", True), ("elastic-0", False)):
        said = (run.directory.task(label).path / "stdout.log").read_text()
        assert f"sum 3.0 True {forked} {python.parents[1]}" in said, label
