"""Real JAX clusters: both ways to join, the example, and processes that are lost."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tenfold.launch import namespace
from tenfold.run.rundir import find
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
    importlib.util.find_spec("jax") is None, reason="JAX is not installed: make test brings it"
)

TOGETHER = """
import sys
print("preloaded", "jax" in sys.modules)
import jax, numpy as np
JOIN
from jax.experimental import multihost_utils
sums = multihost_utils.process_allgather(np.array([jax.process_index()])).sum()
print("process", jax.process_index(), jax.process_count(), jax.device_count(), int(sums))
print("collectives", jax.config.jax_cpu_collectives_implementation)
"""
OURS = """
import tenfold
own = tenfold.jax.initialize()
assert tenfold.jax.initialize() == own
assert (own.id, own.count) == (jax.process_index(), jax.process_count())
"""
ALONE = "jax.distributed.initialize()"
WORKERS = "{worker: {run: python train.py, tasks: 3}}"
ALL = {f"worker-{n}": f"{n} 3 3 3" for n in range(3)}


@pytest.mark.parametrize(
    ("join", "isolation"),
    [(OURS, "namespace"), (ALONE, "none")],  # the others: test_a_proxy_is_not_asked_for…, below
    indirect=["isolation"],
    ids=["tenfold", "jax"],
)
def test_jax_workers_join_one_cluster(
    join: str, runs: Path, tmp_path: Path, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    plan = script_plan(tmp_path, "jax", WORKERS, TOGETHER.replace("JOIN", join))
    if join == ALONE and sys.platform != "linux":
        pytest.skip("there is no preload")
    run = succeeded(plan, runs, isolation)
    assert said(run, "process") == ALL
    assert "proxy" not in str(logs(run))  # JAX warns of variables that are called so
    assert set(said(run, "collectives").values()) == {"gloo"}
    if sys.platform == "linux":
        assert set(said(run, "preloaded").values()) == {"True"}


def test_a_chief_is_process_0_and_other_jobs_are_not_waited_for(runs: Path, tmp_path: Path) -> None:
    jobs = """{worker: {run: python train.py, preload: none}, chief: {run: python train.py},
               fetch: {run: python -c "print('fetched')"}}"""
    plan = script_plan(tmp_path, "jax", jobs, TOGETHER.replace("JOIN", OURS))
    run = succeeded(plan, runs, "auto")
    assert said(run, "process") == {"chief-0": "0 2 2 1", "worker-0": "1 2 2 1"}
    assert said(run, "preloaded")["worker-0"] == "False"


def test_a_host_name_unknown_in_a_namespace_is_not_looked_up(runs: Path, tmp_path: Path) -> None:
    """Most machines' names are known to a DNS server that nobody in a namespace reaches."""
    if (refusal := namespace.refusal()) or shutil.which("unshare") is None:
        pytest.skip(f"no namespaces here: {refusal}")
    (tmp_path / "train.py").write_text(TOGETHER.replace("JOIN", OURS))
    file = tmp_path / "tenfold.yaml"
    file.write_text(f"cluster: group\nframework: jax\njobs: {WORKERS}\n")
    tenfold = f"{sys.executable} -m tenfold up {file} --runs {runs} --isolation namespace"
    shell = f"hostname far-away.example && exec {tenfold}"
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", shell],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said(Run(find(runs)), "process") == ALL


@pytest.mark.parametrize("join", [OURS, ALONE], ids=["tenfold", "jax"])
def test_a_proxy_is_not_asked_for_the_coordinator(
    join: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # where nobody is
    monkeypatch.setenv("no_proxy", "example.org")
    plan = script_plan(tmp_path, "jax", WORKERS, TOGETHER.replace("JOIN", join))
    assert said(succeeded(plan, runs, "auto"), "process") == ALL


LOST = """
import pathlib, time
import jax, numpy as np
import tenfold
tenfold.jax.initialize()
from jax.experimental import multihost_utils
rank = jax.process_index()
for step in range(4000):
    multihost_utils.process_allgather(np.ones(1000))
    if step == 3:
        (tenfold.task().results / f"together-{rank}").touch()
    if step == 5 and rank == RAISES:
        raise ValueError("a bad day")
    time.sleep(0.01)
"""


def lose(tmp_path: Path, runs: Path, isolation: str, raises: int = 9) -> Run:
    """A run of three that compute together for 40 s, or until process `raises` does."""
    script = LOST.replace("RAISES", str(raises))
    return up(script_plan(tmp_path, "jax", WORKERS, script), runs=runs, isolation=isolation)


@pytest.mark.parametrize(("process", "isolation"), [(0, "namespace"), (1, "none")])
def test_when_a_process_is_killed_all_start_again_together(
    process: int, runs: Path, tmp_path: Path, isolation: str
) -> None:
    killed_and_together_again(lose(tmp_path, runs, isolation), f"worker/{process}")


@pytest.mark.parametrize("process", [0, 2])
def test_a_process_that_raises_does_not_wait_for_the_others(
    process: int, runs: Path, tmp_path: Path
) -> None:
    """JAX by itself would wait five minutes for them, and they for it."""
    run = lose(tmp_path, runs, "auto", process)
    first = failure(run)
    assert (first["task"], first["exit_code"]) == (f"worker/{process}", 1)
    assert first["lines"][-1] == "ValueError: a bad day"
    assert all(task["restarts"] == 0 for task in run.status()["tasks"])


def test_the_example_trains_to_its_end(runs: Path) -> None:
    run = succeeded(example_plan("digits-jax", workers=2, epochs=12), runs, "auto")
    weights = said(run, "process")
    assert {words.split(":")[0] for words in weights.values()} == {f"{n} of 2" for n in range(2)}
    assert len({words.split(":")[1] for words in weights.values()}) == 1
    losses = [float(line.split()[-1]) for line in logs(run)["worker-0"] if "loss" in line]
    assert losses[-1] < losses[0] / 4
    result = json.loads((run.directory.shared("results") / "result.json").read_text())
    assert result["accuracy"] > 0.9
    assert (run.directory.shared("results") / "digits.npz").exists()


def test_the_example_needs_no_cluster(tmp_path: Path) -> None:
    train = ROOT / "examples" / "digits-jax" / "train.py"
    command = [sys.executable, str(train), "--epochs", "8", "--results", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["processes"] == 1
    assert result["accuracy"] > 0.9
