"""TensorFlow and PyTorch in one process of a task: their libraries load in the order that works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads
from tenfold.launch import together
from tenfold.run.logs import last_lines
from tests.own_process import require

WRITER = """
import torch
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("curves")
weight = torch.nn.Parameter(torch.zeros(3))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
writer.add_scalar("weight", weight.sum().item(), 1)
writer.close()
import sys
print("both", {"tensorflow", "triton"} <= sys.modules.keys(), flush=True)
"""
FIRST = """
import tensorflow as tf, torch
torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
import sys
print("both", "triton" in sys.modules, float(tf.Variable(2.0)), flush=True)
"""
PLAIN = """
cluster: together
jobs:
  plain: {run: python writer.py}
  shell: {run: [sh, -c, "python -m first && echo done"]}
"""
PRELOADED = """
cluster: together
framework: {framework}
jobs:
  worker: {{run: python first.py}}
"""


@pytest.mark.usefixtures("lean_tensorflow")
@pytest.mark.parametrize("framework", ["none", "torch", "tensorflow"])
def test_scripts_that_import_both_succeed(framework: str, runs: Path, tmp_path: Path) -> None:
    """Without the hook each of them ends by SIGSEGV with PyPI's builds."""
    for package in ("tensorflow", "torch", "triton"):
        require(package)
    (tmp_path / "writer.py").write_text(WRITER)
    (tmp_path / "first.py").write_text(FIRST)
    text = PLAIN if framework == "none" else PRELOADED.format(framework=framework)
    run = up(planned(loads(text, directory=tmp_path)), runs=runs)
    status = run.wait(280)
    said = {task.path.name: last_lines(task, 60) for task in run.directory.tasks()}
    assert status["state"] == "succeeded", said
    assert all("both True" in "\n".join(lines) for lines in said.values()), said


def _both(directory: Path) -> Path:
    for package in ("tensorflow", "triton"):
        (directory / package).mkdir(parents=True)
    return directory


def test_only_tasks_that_find_both_packages_get_the_hook(tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path), "PYTHONPATH": "/mine"}
    assert together.with_order(bare, ["/bin/sh"], "/") == bare
    _both(tmp_path / "venv/lib/python3.11/site-packages")
    command = ["../venv/bin/python", "train.py"]
    (tmp_path / "work").mkdir()
    made = together.with_order(bare, command, str(tmp_path / "work"))
    assert made["PYTHONPATH"] == f"{together.HOOK}:/mine"
    alone = {"PATH": str(tmp_path)}
    assert together.with_order(alone, command, str(tmp_path / "work")) == alone | {
        "PYTHONPATH": together.HOOK
    }


def test_packages_in_pythonpath_count(tmp_path: Path) -> None:
    entry = str(_both(tmp_path / "packages"))
    made = together.with_order({"PATH": "", "PYTHONPATH": entry}, ["/bin/sh"], "/")
    assert made["PYTHONPATH"] == f"{together.HOOK}:{entry}"


def test_packages_that_a_pth_file_adds_count(tmp_path: Path) -> None:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (site / "more.pth").write_text(f"import sys\n# no\n{_both(tmp_path / 'more')}\n")
    found = together.found_by({"PATH": ""}, [str(tmp_path / "venv/bin/python")], "/")
    assert found is not None
    assert str(tmp_path / "more") in found


def python(path: str, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert not done.stderr
    return done.stdout.strip()


def test_the_users_own_sitecustomize_runs_and_is_the_one_that_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('mine')\nvalue = 5\n")
    path = f"{together.HOOK}{os.pathsep}{tmp_path}"
    assert python(path, "import sitecustomize; print(sitecustomize.value)") == "mine\n5"


def test_sys_path_is_that_of_a_process_without_the_hook() -> None:
    code = "import sys; print(sys.path)"
    assert python(together.HOOK, code) == python("", code)


def test_a_process_that_imports_no_tensorflow_loads_nothing() -> None:
    code = "print('triton' in open('/proc/self/maps').read())"
    assert python(together.HOOK, code) == "False"
