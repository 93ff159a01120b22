"""What can outlive its killer: tasks that nobody can kill, and what is left without a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tenfold import cells
from tenfold.base.procfs import is_alive
from tenfold.bringup.api import up
from tenfold.cells import Patience, Wishes
from tenfold.launch import client
from tenfold.launch.survivors import end_survivors
from tenfold.launch.survivors import survivors as left_of
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import create
from tenfold.supervise.loop import Supervisor
from tests.conftest import survivors, wait_for
from tests.frozen import freeze, freezer
from tests.plans import plan_of, shell


def test_a_task_that_cannot_be_killed_is_named_and_not_waited_for(
    tmp_path: Path, isolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "END_S", 0.5)
    plan = plan_of(shell("chief", "exec sleep 600"), shell("worker", "exec sleep 601"),
                   stop_grace_s=0.3)  # fmt: skip
    run = create(tmp_path, "c")
    wishes = Wishes(isolation)

    async def supervised(group: Path) -> int:
        supervisor = Supervisor(
            plan,
            run,
            lambda hear: cells.supervisor("local").make(plan, run, hear, wishes),
            patience=Patience(kill_s=0.5),
        )
        ends = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(30):
            while (read_json(run.status) or {}).get("state") != "running":
                await asyncio.sleep(0.05)
            pid = int((read_json(run.task("worker-0").status) or {})["pid"])
            freeze(group, pid)
            supervisor.stop("because")
            assert await ends == "stopped"
        return pid

    with freezer("worker") as group:
        pid = asyncio.run(supervised(group))
        assert is_alive(pid)
        events, _ = read_events(run.events)
        named = [(e.task, e.more["pid"]) for e in events if e.kind == "task-unkillable"]
        assert named == [("worker/0", pid)]
        notes = [e.more["message"] for e in events if e.kind == "note"]
        assert notes == [f"killed, but still running when the run ended: worker/0 (pid {pid})"]
        (chief,) = (e for e in events if e.kind == "task-exited")
        assert chief.task == "chief/0"
    wait_for(lambda: not is_alive(pid), 5)  # thawed, it is dead


GRANDCHILDREN = "sleep 600 & setsid sleep 601 & wait"


def _processes(directory: Path) -> set[str]:
    found = set()
    for pid in survivors(directory):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            found.add(" ".join(psutil.Process(pid).cmdline()))
    return found


@pytest.mark.parametrize("killed", ["supervisor", "launch server"])
def test_no_process_survives_if_supervisor_or_launch_server_is_killed(
    runs: Path, isolation: str, killed: str
) -> None:
    run = up(plan_of(shell("chief", GRANDCHILDREN)), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    wait_for(lambda: len(survivors(run.directory.path)) == 3)
    supervisor = psutil.Process(int((read_json(run.directory.status) or {})["supervisor_pid"]))
    (server,) = supervisor.children()
    (supervisor if killed == "supervisor" else server).kill()
    wait_for(lambda: survivors(run.directory.path) == [], 5)
    assert run.wait(60)["state"] == "failed"


def test_both_killed_at_once_leave_nothing_in_a_namespace(runs: Path) -> None:
    run = up(plan_of(shell("chief", GRANDCHILDREN)), runs=runs, isolation="namespace")
    _kill_both(run.directory.path)
    wait_for(lambda: survivors(run.directory.path) == [], 5)


def test_both_killed_at_once_without_a_namespace_leave_grandchildren_until_the_sweep(
    runs: Path,
) -> None:
    """The fallback's limit: PR_SET_PDEATHSIG is for the task itself, not for what it forks."""
    run = up(plan_of(shell("chief", GRANDCHILDREN)), runs=runs, isolation="none")
    _kill_both(run.directory.path)
    wait_for(lambda: _processes(run.directory.path) == {"sleep 600", "sleep 601"}, 5)
    there = survivors(run.directory.path)
    assert sorted(left_of(run.directory)) == sorted(there)
    swept = cells.client("local").sweep(run.directory)
    assert swept[0] == "2 processes"
    assert survivors(run.directory.path) == []
    assert cells.client("local").sweep(run.directory) == []


def _kill_both(directory: Path) -> None:
    wait_for(lambda: len(survivors(directory)) == 3)
    supervisor = psutil.Process(int((read_json(directory / "status.json") or {})["supervisor_pid"]))
    own = [supervisor, *(
        one for one in supervisor.children(recursive=True)
        if "tenfold.launch.server" in one.cmdline()
    )]  # fmt: skip
    for one in own:
        one.suspend()
    for one in own:
        one.kill()


def test_the_process_that_searches_for_survivors_is_none(tmp_path: Path) -> None:
    """`tenfold down` in a shell that belongs to a task does not end itself."""
    run = create(tmp_path, "c")
    code = (
        "import sys; from pathlib import Path; from tenfold.run.rundir import RunDirectory;"
        "from tenfold.launch.survivors import end_survivors;"
        f"print(len(end_survivors(RunDirectory(Path({str(run.path)!r})))))"
    )
    script = f"sleep 600 & {sys.executable} -c '{code}'; echo done"
    done = subprocess.run(
        ["sh", "-c", script.replace("'", '"').replace(f'"{run.path}"', f"'{run.path}'")],
        env={**os.environ, "TENFOLD_RUN_DIRECTORY": str(run.path)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["1", "done"], done.stderr
    assert end_survivors(run) == []


PARENT = """
import ctypes, os, signal, sys, threading, time
def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
def start(argv, user=None):
    pid = os.fork()
    if pid == 0:
        if user:
            os.setgid(user)
            os.setuid(user)
        die_with_parent()
        os.execvp(argv[0], argv)
    print(pid, flush=True)
"""


def _alive_after(code: str, output: Path) -> list[bool]:
    """Whether each of the processes lives whose pid this Python code has printed, after its end."""
    with output.open("wb") as stream:  # a pipe would be held by who survives
        subprocess.run([sys.executable, "-c", PARENT + code], stdout=stream, timeout=30, check=True)
    pids = [int(pid) for pid in output.read_text().split()]
    try:
        time.sleep(0.2)
        return [is_alive(pid) for pid in pids]
    finally:
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)


def test_linux_sends_the_parent_death_signal_as_documented(tmp_path: Path) -> None:
    """Facts of Linux that the fallback stands on: prctl(2), PR_SET_PDEATHSIG."""
    output = tmp_path / "pids"
    assert _alive_after("start(['sleep', '600']); time.sleep(0.1)", output) == [False]
    of_a_fork = "start(['sh', '-c', 'sleep 600 & echo $!; wait']); time.sleep(0.3)"
    assert _alive_after(of_a_fork, output) == [False, True]
    of_a_thread = (
        "thread = threading.Thread(target=lambda: (start(['sleep', '600']), time.sleep(0.3)));"
        "thread.start(); thread.join(); time.sleep(0.2); assert os.waitpid(-1, os.WNOHANG)[0]"
    )
    assert _alive_after(of_a_thread, output) == [False]


def test_a_setuid_program_outlives_its_parent(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("to make a setuid program takes root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        if os.statvfs(place).f_flag & os.ST_NOSUID:
            pytest.skip(f"{place} is on a disk without setuid programs")
        Path(place).chmod(0o755)
        program = Path(place) / "sleep"
        shutil.copy("/bin/sleep", program)
        program.chmod(0o4755)
        code = f"start(['{program}', '600'], user=65534); time.sleep(0.2)"
        assert _alive_after(code, tmp_path / "pids") == [True]
