"""Signals that tasks send to whoever they can reach, and what a run inherits of signal state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import Plan, Task
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import every
from tests.conftest import wait_for
from tests.plans import plan_of, shell

HARMLESS = (signal.SIGKILL, signal.SIGSTOP)
"""What no process can block. Without a namespace, a task can end the launch server with them."""

TO_PARENT = """
import os, signal, sys
for number in map(int, sys.argv[1:]):
    os.kill(os.getppid(), number)
"""

STATE = """
import sys
lines = open("/proc/self/status").read().splitlines()
masks = {name: int(value, 16) for name, value in (line.split(":") for line in lines
         if line.startswith(("SigBlk", "SigIgn")))}
print(masks["SigBlk"], masks["SigIgn"] & 0x7FFFFFFF, flush=True)
"""


def _python(name: str, code: str, *words: str, preload: bool, **more: object) -> Task:
    task = shell(name, "", **more)
    modules = ("json",) if preload else None
    return replace(task, command=(sys.executable, "-c", code, *words), preload=modules)


def _log(run: Run, label: str) -> str:
    return run.directory.task(label).log("stdout").read_text()


def _survives(plan: Plan, runs: Path, isolation: str) -> None:
    status = up(plan, runs=runs, isolation=isolation).wait(60)
    told = {task["task"]: (task["exit_code"], task["signal"]) for task in status["tasks"]}
    assert told == {task.name: (0, None) for task in plan.tasks}


@pytest.mark.parametrize("preload", [True, False])
def test_a_task_that_signals_its_parent_ends_no_other(
    runs: Path, isolation: str, tmp_path: Path, preload: bool
) -> None:
    numbers = [int(n) for n in signal.valid_signals() - set(HARMLESS)]
    numbers += [int(n) for n in HARMLESS] if isolation == "namespace" else []
    done = tmp_path / "done"
    wait = f"import os, time\nwhile not os.path.exists({str(done)!r}): time.sleep(0.02)"
    bad = f"{TO_PARENT}\nopen({str(done)!r}, 'w')"
    plan = plan_of(
        _python("chief", wait, preload=preload),
        _python("worker", bad, *map(str, numbers), preload=preload),
        success=("chief", "worker"),
    )
    _survives(plan, runs, isolation)


def test_a_stopped_launch_server_is_continued(runs: Path) -> None:
    """Without a namespace a task can stop it; nobody can block SIGSTOP."""
    plan = plan_of(
        _python("chief", TO_PARENT, str(int(signal.SIGSTOP)), preload=False), success=("chief",)
    )
    _survives(plan, runs, "none")


def test_a_stopped_preload_server_is_continued(runs: Path, isolation: str) -> None:
    plan = plan_of(
        _python("chief", "import time; time.sleep(600)", preload=True), success=("chief",)
    )
    run = up(plan, runs=runs, isolation=isolation)
    run.wait(30, for_state=("running",))
    preload = _preload_of(run)
    preload.suspend()
    run.restart("chief/0")
    wait_for(lambda: run.status()["tasks"][0]["restarts"] == 1)
    assert preload.is_running()
    run.stop(kill=True, timeout_s=60)


def _preload_of(run: Run) -> psutil.Process:
    told = read_json(run.directory.status) or {}
    supervisor = psutil.Process(told["supervisor_pid"])
    (found,) = [
        one
        for one in supervisor.children(recursive=True)
        if one.status() != psutil.STATUS_ZOMBIE and "(tenfold: has imported" in one.cmdline()
    ]
    return found


def test_a_killed_launch_server_is_named_and_no_task_is_blamed(runs: Path) -> None:
    plan = plan_of(_python("chief", TO_PARENT, str(int(signal.SIGKILL)), preload=False),
                   shell("worker", "exec sleep 600"))  # fmt: skip
    status = up(plan, runs=runs, isolation="none").wait(60)
    assert status["state"] == "failed"
    assert "the launch server was killed by SIGKILL" in status["reason"]
    assert status["first_failure"] is None


INHERITED = """
import os, signal, sys
what, *argv = sys.argv[1:]
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    if what == "ignored":
        signal.signal(number, signal.SIG_IGN)
if what == "blocked":
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
os.execv(argv[0], argv)
"""

FILE = """
cluster: c
stop_grace: 60
jobs:
  plain: {{run: [{python}, -c, {state}], preload: none}}
  forked: {{run: [{python}, -c, {state}], preload: json}}
  shell: {{run: [sh, -c, "grep SigBlk /proc/self/status"]}}
  stays: {{run: sleep 600}}
success: [plain, forked, shell]
"""


@pytest.mark.parametrize("what", ["blocked", "ignored", "neither"])
def test_inherited_signal_settings_reach_no_task(
    runs: Path, isolation: str, tmp_path: Path, what: str
) -> None:
    """And the run ends: `sleep` by SIGTERM, whose grace is longer than this test waits."""
    file = tmp_path / "tenfold.yaml"
    script = tmp_path / "state.py"
    script.write_text(STATE)
    file.write_text(FILE.replace("-c, {state}", str(script)).format(python=sys.executable))
    argv = [sys.executable, "-m", "tenfold", "up", "--runs", str(runs), "--isolation", isolation]
    done = subprocess.run(
        [sys.executable, "-c", INHERITED, what, *argv, str(file)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=os.environ | {"TENFOLD_DASHBOARD": "no"},
    )
    assert done.returncode == 0, done.stderr
    (run,) = every(runs)
    pipe = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1  # Python ignores these by itself
    for label in ("plain-0", "forked-0"):
        assert run.task(label).log("stdout").read_text().split() == ["0", str(pipe)]
    assert int(run.task("shell-0").log("stdout").read_text().split()[1], 16) == 0


FROM_PYTHON = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
from tenfold.bringup.api import up
print(up(Path(sys.argv[1]), runs=sys.argv[2], isolation=sys.argv[3]).wait(40)["state"])
"""


def test_a_program_that_ignores_its_children_may_bring_up_a_cluster(
    runs: Path, isolation: str, tmp_path: Path
) -> None:
    file = tmp_path / "tenfold.yaml"
    file.write_text("cluster: c\njobs:\n  chief: {run: 'true'}\n")
    done = subprocess.run(
        [sys.executable, "-c", FROM_PYTHON, str(file), str(runs), isolation],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["succeeded"], done.stderr
