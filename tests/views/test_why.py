"""The account of a failure: a first line to act on, for every fault of the chaos table that a small
real cluster can have; for the others, see test_troubles.py.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import HangPolicy, ReadinessCheck, RestartPolicy, Task
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import create
from tenfold.tasks import memory
from tenfold.views.account import show_end
from tenfold.views.terminal import Terminal
from tenfold.views.why import account
from tests.conftest import wait_for
from tests.plans import plan_of, shell
from tests.views.written import Told, save, shown

SLEEP = "exec sleep 600"


def _python(name: str, code: str, **more: Any) -> Task:
    job, _, index = name.partition("/")
    command = (sys.executable, "-c", code)
    return Task(job=job, index=int(index or 0), command=command, workdir="/tmp", **more)


# Real clusters


def _kill(run: Run, label: str) -> None:
    """SIGKILL a task once it runs."""
    path = run.directory.task(label).status
    wait_for(lambda: (read_json(path) or {}).get("state") == "running", 20)
    os.kill(int((read_json(path) or {})["pid"]), signal.SIGKILL)


@dataclass(frozen=True)
class Fault:
    """A cluster, what befalls it while it runs, and what is to be said of it."""

    tasks: tuple[Task, ...]
    headline: str
    next: str = "tenfold logs c chief/0"
    befalls: Callable[[Run], None] = lambda run: None
    more: dict[str, Any] = field(default_factory=dict)
    state: str = "failed"


def _kill_worker_twice(run: Run) -> None:
    path = run.directory.task("worker-0").status
    for count in (1, 2):
        _kill(run, "worker-0")
        wait_for(lambda count=count: (read_json(path) or {}).get("restarts") == count, 20)  # type: ignore[misc]
    (run.directory.path / "go").touch()


def _stop(run: Run) -> None:
    run.wait(20, for_state=("running",))
    run.stop(timeout_s=60)


def _kill_supervisor(run: Run) -> None:
    run.wait(20, for_state=("running",))
    save(run.directory, 1200, time.time() - 40)
    os.kill(int((read_json(run.directory.status) or {})["supervisor_pid"]), signal.SIGKILL)


AGAIN = RestartPolicy("on-failure", 3, 0.0)
UNTIL_GO = "while ! test -e ${run.directory}/go; do sleep 0.05; done"
BIND = "import socket; a = [socket.socket() for _ in '12']; [s.bind(('', 5555)) for s in a]"
RAISES = "def f(): raise ValueError('shapes (3,) and (4,)')\nf()"
NOISY = (
    "import atexit, sys\n"
    "atexit.register(lambda: [print('closing', n, file=sys.stderr) for n in range(100_000)])\n"
    "raise ValueError('first\\n\\nsecond\\nthird')"
)
CAUGHT = (
    "import sys, time, traceback\ntry: 1 / 0\nexcept Exception: traceback.print_exc()\n"
    "time.sleep(0.3)\n"  # times in logs are that exact
    "for n in range(100): print('step', n)\nsys.exit(9)"
)

REAL = {
    "workers killed and recovered": Fault(
        (shell("chief", UNTIL_GO), shell("worker", SLEEP, restart=AGAIN)),
        "c succeeded: chief finished (* s); worker/0 restarted 2 times"
        " (the last was killed by SIGKILL)",
        "",
        _kill_worker_twice,
        state="succeeded",
    ),
    "a ps killed": Fault(
        (shell("chief", SLEEP), shell("ps", SLEEP)),
        "c failed: ps/0 was killed by SIGKILL (killed by a user, or by the kernel because memory "
        "ran out); check for a kill by the kernel: dmesg | grep -i -E 'killed process|oom'",
        "tenfold logs c ps/0",
        lambda run: _kill(run, "ps-0"),
        {"success": ("chief", "ps")},
    ),
    "the supervisor killed": Fault(
        (shell("chief", SLEEP),),
        "c failed: its supervisor was killed or its machine went down; "
        "tenfold up resumes from checkpoint main/000001-step-1200, * s older than the end",
        "tenfold up",
        _kill_supervisor,
    ),
    "a crash loop that used up its restarts": Fault(
        (shell("chief", SLEEP), shell("worker", "echo no; exit 3", restart=AGAIN)),
        "c failed: worker/0 exited with code 3, and 3 restarts did not help",
        "tenfold logs c worker/0",
        more={"success": ("chief", "worker")},
    ),
    "a port that is taken": Fault(
        (_python("chief", BIND),),
        'c failed: chief/0 exited with code 1: it says "OSError: [Errno 98] Address already in use"'
        "; listen on the port of TENFOLD_ADDRESS; to find the process during the run: "
        "tenfold exec TASK -- ss -ltnp",
    ),
    "a program's own mistake": Fault(
        (_python("chief", RAISES),),
        'c failed: chief/0 exited with code 1: it says "ValueError: shapes (3,) and (4,)"',
    ),
    "an exception before much output": Fault(
        (_python("chief", NOISY),),
        'c failed: chief/0 exited with code 1: it says "ValueError: first"',
    ),
    "an exception in a log that has turned since": Fault(
        (_python("chief", NOISY),),
        'c failed: chief/0 exited with code 1: it says "ValueError: first"',
        more={"log_limit": 1 << 16},
    ),
    "an exit with words": Fault(
        (_python("chief", "raise SystemExit('config error')"),),
        'c failed: chief/0 exited with code 1: it says "config error"',
    ),
    "an exception that was caught long before": Fault(
        (_python("chief", CAUGHT),), "c failed: chief/0 exited with code 9",
    ),
    "a command that is not there": Fault(
        (shell("chief", "nosuchprogram"),),
        "c failed: chief/0 exited with code 127 (its command was not found): it says "
        '"sh: 1: nosuchprogram: not found"; check that it is installed there and on PATH',
    ),
    "a command that cannot be started": Fault(
        (Task("chief", 0, ("./nosuchprogram",), workdir="/tmp"),),
        "c failed: chief/0 ./nosuchprogram: No such file or directory",
    ),
    "a crash in native code": Fault(
        (_python("chief", "import ctypes; ctypes.string_at(0)"),),
        "c failed: chief/0 was killed by SIGSEGV (a crash in native code called by ctypes: "
        "ctypes/__init__.py, line *, in string_at)",
    ),
    "a task that is never ready": Fault(
        (shell("chief", SLEEP, ready=ReadinessCheck("tcp", timeout_s=0.3)),),
        "c failed: chief/0 was not ready after 0.3 s",
    ),
    "a task that ignores SIGTERM": Fault(
        (shell("chief", "trap '' TERM; while :; do sleep 1; done"),),
        "c stopped: stopped by tenfold down",
        "tenfold up",
        _stop,
        {"stop_grace_s": 0.2},
        "stopped",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_of_real_clusters(name: str, runs: Path) -> None:
    fault = REAL[name]
    values = {"success": ("chief",)} | fault.more
    run = up(plan_of(*fault.tasks, **values), runs=runs, isolation="none")
    fault.befalls(run)
    assert run.wait(60)["state"] == fault.state
    told = Told(account(run.directory))
    assert _matches(told["headline"], fault.headline), told["headline"]
    assert told["wrong"] == (fault.state == "failed")
    assert (told["next"] or [""])[0] == fault.next
    resumes = "next        tenfold up  # resumes from main/000001-step-1200" in shown(told)
    assert resumes == (told["checkpoint"] is not None)
    assert shown(told).splitlines()[0] == told["headline"]


def _matches(text: str, pattern: str) -> bool:
    """`*` in the pattern stands for anything; nothing else does."""
    begin, *rest = pattern.split("*")
    place = len(begin) if text.startswith(begin) else -1
    for piece in rest:
        place = text.find(piece, place) + len(piece) if place >= 0 and piece in text else -1
    return place == len(text)


@pytest.mark.skipif(
    memory.refusal(memory.find_place()) is not None, reason="no control group can be made here"
)
def test_a_task_over_its_limit_of_memory(runs: Path) -> None:
    eat = _python("ps/1", "x = bytearray(600 << 20)", memory=64 << 20)
    others = (shell("chief", SLEEP), shell("ps/0", SLEEP, memory=64 << 20))
    run = up(plan_of(*others, eat, success=("chief", "ps")), runs=runs)
    assert run.wait(60)["state"] == "failed"
    told = Told(account(run.directory))
    assert told["headline"] == (
        "c failed: ps/1 was killed (out of memory at its limit of 64MiB);"
        " raise jobs.ps.resources.memory"
    )
    assert told["first_failure"]["cause"] == "oom"


def test_of_a_running_cluster_nothing_or_what_is_wrong_now(runs: Path) -> None:
    script = f"{UNTIL_GO}; rm ${{run.directory}}/go; exit 3"
    worker = shell("worker", script, restart=replace(AGAIN, backoff_s=60.0))
    run = up(plan_of(shell("chief", SLEEP), worker), runs=runs)
    run.wait(20, for_state=("running",))
    assert _matches(account(run.directory).headline, "c runs (for * s); no problem found")
    (run.directory.path / "go").touch()
    path = run.directory.task("worker-0").status
    wait_for(lambda: (read_json(path) or {}).get("state") == "restarting", 20)
    told = Told(account(run.directory))
    assert _matches(
        told["headline"],
        "c runs, but: worker/0 exited with code 3 and starts again in * (1 of 3 restarts used);"
        " tenfold logs c worker/0",
    ), told["headline"]
    assert told["wrong"]
    run.stop(kill=True, timeout_s=60)


def test_up_ends_with_the_summary_of_why(runs: Path) -> None:
    lines = "for i in $(seq 30); do echo line $i; done; exit 7"
    run = up(plan_of(shell("chief", lines), shell("worker", SLEEP)), runs=runs)
    run.wait(60)
    stream = StringIO()
    show_end(Terminal(stream), run.directory)
    said = stream.getvalue().splitlines()
    assert said[0] == account(run.directory).headline == "c failed: chief/0 exited with code 7"
    assert said[-22].startswith("first failure: chief/0 exited with code 7 at ")
    assert said[-21:-1] == [f"  │ line {n}" for n in range(11, 31)]
    assert said[-1] == "next: tenfold why c | tenfold logs c chief/0 | tenfold up"


def test_a_damaged_file_is_named_and_the_rest_is_shown(runs: Path) -> None:
    run = up(plan_of(shell("chief", "echo alas; exit 3")), runs=runs)
    run.wait(60)
    for cut in ("status.json", "plan.json", "tasks/chief-0/status.json"):
        path = run.directory.path / cut
        whole = path.read_bytes()
        path.write_bytes(whole[:20])
        told = Told(account(run.directory))
        assert told["headline"] == "c failed: chief/0 exited with code 3"
        assert list(told["damaged"]) == [str(path)]
        assert told["first_failure"]["lines"] == ["alas"]
        assert f"{path} cannot be read" in shown(told)
        path.write_bytes(whole)


@pytest.mark.skipif(sys.platform != "linux", reason="states of processes are read from /proc")
def test_a_task_that_a_signal_stopped(runs: Path) -> None:
    step = "import tenfold, time\nfor n in range(600): tenfold.progress(n, 600); time.sleep(0.1)"
    run = up(
        plan_of(_python("chief", step), _python("worker", step), hang=HangPolicy(1.0)), runs=runs
    )
    path = run.directory.task("worker-0")
    wait_for(lambda: path.progress.exists(), 20)
    pid = int((read_json(path.status) or {})["pid"])
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: (read_json(run.directory.status) or {}).get("hang"), 20)
    told = Told(account(run.directory))
    assert told["headline"].startswith("c hangs: worker/0 ")
    assert f"is stopped by a signal (state T); `kill -CONT {pid}` continues it" in told["headline"]
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not account(run.directory).wrong, 20)
    run.stop(kill=True, timeout_s=60)


def test_unreadable_files_are_reported_by_why(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    for path in (run.plan, run.status, run.events):
        path.write_bytes(b"\0\xff{[")
    told = Told(account(run))
    assert told["headline"].startswith("c has no readable status or events: ")
    assert str(run.status) in told["headline"]
    assert shown(told)
