"""Inside a task: who am I, and the progress it tells."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tenfold
from tenfold.bringup.api import up
from tenfold.errors import TenfoldError
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import RunDirectory, create
from tenfold.tasks import figures, member
from tests.conftest import wait_for
from tests.plans import plan_of, shell

WHO = """
import json, tenfold
me = tenfold.task()
print(json.dumps([me.cluster, me.name, me.job, me.index, str(me.directory), me.addresses, me.ports,
                  str(me.tensorboard), str(me.checkpoints), str(me.results)]))
"""


def test_a_task_knows_itself_and_its_peers(runs: Path, isolation: str) -> None:
    import sys

    from tenfold.planning.plan import Task

    who = Task(
        job="worker", index=0, command=(sys.executable, "-c", WHO), workdir="/tmp",
        ports={"debug": None},
    )  # fmt: skip
    run = up(
        plan_of(shell("ps", "exec sleep 600", service=True), who, success=("worker",)),
        runs=runs,
        isolation=isolation,
    )
    assert run.wait(60)["state"] == "succeeded"
    said = json.loads(run.directory.task("worker-0").log("stdout").read_text())
    cluster, name, job, index, directory, addresses, ports, *shared = said
    assert (cluster, name, job, index) == ("c", "worker/0", "worker", 0)
    assert directory == str(run.directory.task("worker-0").path)
    status = {task["task"]: task["address"] for task in run.status()["tasks"]}
    assert addresses == {"ps": [status["ps/0"]], "worker": [status["worker/0"]]}
    assert isinstance(ports["debug"], int)
    assert all(Path(path).is_dir() for path in shared)


def test_outside_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENFOLD_RUN_DIRECTORY", raising=False)
    with pytest.raises(TenfoldError, match="not a task of a cluster"):
        tenfold.task()
    tenfold.progress(1, 2)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run directory; this process is its worker/0, which has said nothing yet."""
    made = create(tmp_path, "c")
    made.task("worker-0").path.mkdir()
    monkeypatch.setenv("TENFOLD_RUN_DIRECTORY", str(made.path))
    monkeypatch.setenv("TENFOLD_TASK", "worker/0")
    monkeypatch.setattr(member, "_pace", figures.Pace())
    monkeypatch.setattr(member, "_odd", figures.OddFigures())
    return made


def _said(run: RunDirectory) -> dict[str, Any]:
    return read_json(run.task("worker-0").progress) or {}


def test_progress_has_a_rate(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    for n in range(0, 50, 10):
        tenfold.progress(n, 100, unit="words", loss=2.5)
        now[0] += 1
    assert _said(run) | {"time": 0} == {
        "done": 40, "total": 100, "unit": "words", "rate": 10.0, "time": 0,
        "figures": {"loss": 2.5},
    }  # fmt: skip
    tenfold.progress(5, 100)
    assert _said(run)["rate"] is None, "it went back: a resume"


def test_progress_is_written_seldom_but_its_end_always(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    for n in range(1, 101):
        tenfold.progress(n, 100)
        assert _said(run)["done"] == (100 if n == 100 else 1)


def test_setting_the_clock_back_makes_no_task_silent(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tenfold.progress(1, 100)
    monkeypatch.setattr("time.time", lambda: 5.0)
    now[0] += 1
    tenfold.progress(2, 100)
    assert (_said(run)["done"], _said(run)["rate"]) == (2, 1.0)


class _Number:
    """As numpy's and TensorFlow's are: no int, no float, but it can become one."""

    def __lt__(self, other: float) -> bool:
        return float(self) < other

    def __float__(self) -> float:
        return 2.5


@pytest.mark.parametrize(
    ("value", "shown"),
    [(_Number(), 2.5), (Decimal(3), 3.0), (math.nan, "nan"), (math.inf, "inf"), ("1/3", "1/3"),
     (None, "None"), (True, True), (7, 7)],
)  # fmt: skip
def test_progress_accepts_any_figure(run: RunDirectory, value: Any, shown: object) -> None:
    tenfold.progress(_Number(), 100, figure=value)  # type: ignore[arg-type]
    text = run.task("worker-0").progress.read_text()
    said = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert said["figures"] == {"figure": shown}
    assert said["done"] == 2.5


class _OnDevice:
    """A tensor of one number, as PyTorch's: with a graph, and changed in place by its owner."""

    def __init__(self, value: float) -> None:
        self.value = value

    def detach(self) -> _OnDevice:
        return self

    def clone(self) -> _OnDevice:
        return _OnDevice(self.value)

    def numel(self) -> int:
        return 1

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize("kind", [np.float32, np.array, Decimal, _OnDevice, float])
def test_a_figure_that_is_nan_between_two_writes_is_noted(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, kind: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 500.0)  # no time passes: nothing is written
    same = kind(0.0)
    for step in range(9):
        odd = 3 <= step < 5
        if isinstance(same, _OnDevice):
            same.value = math.nan if odd else 1.0
            tenfold.progress(step, 9, loss=same)  # type: ignore[arg-type]
        else:
            tenfold.progress(step, 9, loss=kind(math.nan if odd else 1.0))
    tenfold.progress(9, 9, loss=1.0)
    assert _said(run)["not_finite"] == {"loss": {"value": "nan", "since": 3, "until": 5}}


def test_progress_never_ends_a_training(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_RUN_DIRECTORY", str(run.path / "gone"))
    tenfold.progress(100, 100)
    monkeypatch.delenv("TENFOLD_TASK")
    tenfold.progress(100, 100)


def test_attach_refuses_a_second_chief_and_a_dead_run(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENFOLD_RUNS", str(runs))
    monkeypatch.delenv("TENFOLD_RUN_DIRECTORY", raising=False)
    run = up(plan_of(shell("chief", "exec sleep 600")), runs=runs)
    wait_for(lambda: run.status()["state"] == "running")
    with pytest.raises(TenfoldError, match="chief/0 is running"):
        tenfold.attach("c")
    run.stop(timeout_s=60)
    with pytest.raises(TenfoldError, match="c is not running"):
        tenfold.attach()


ATTACH = """
import sys, tenfold
try:
    print(tenfold.attach().name, flush=True)
except tenfold.TenfoldError as error:
    print("refused:", error.message, flush=True)
sys.stdin.readline()
"""


def test_one_process_at_a_time_is_the_chief(runs: Path, isolation: str) -> None:
    """The first to attach wins, the next after it has ended; nobody outside the run's network."""
    run = up(
        plan_of(shell("jupyter", "exec sleep 600", service=True), success=("jupyter",)),
        runs=runs,
        isolation=isolation,
    )
    run.wait(20, for_state=("running",))
    command = [sys.executable, "-m", "tenfold", "exec", "--runs", str(runs), "jupyter/0", "--",
               sys.executable, "-c", ATTACH]  # fmt: skip

    def attach() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    first, said = attach()
    assert said == "chief/0"
    second, refused = attach()
    assert refused == "refused: another process already is chief/0"
    for process in (first, second):
        process.communicate("go\n", timeout=20)
    third, said = attach()
    assert said == "chief/0"
    third.communicate("go\n", timeout=20)
    if isolation == "namespace":
        with pytest.raises(TenfoldError, match="separate network"):
            tenfold.attach(str(run.directory.path))
    run.stop(timeout_s=60)
