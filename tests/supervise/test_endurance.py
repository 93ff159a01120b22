"""What a supervisor has after many restarts is what it had after a few: nothing leaks.

A short form; `TENFOLD_TEST_RESTARTS=1000` is the long one.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import RestartPolicy, Task
from tenfold.run.logs import last_lines
from tests.conftest import wait_for
from tests.plans import plan_of, shell

RESTARTS = int(os.environ.get("TENFOLD_TEST_RESTARTS", "200"))
WORKERS = 20
POOL = 6
"""Threads that asyncio may start for calls that block, and keeps."""


def _restarts(run: Run) -> int:
    return sum(task["restarts"] for task in run.status()["tasks"])


def _all_hold(run: Run) -> bool:
    """Whether each worker's present life has seen that it is to stay."""
    tasks = run.status()["tasks"]
    said = [last_lines(run.directory.task(f"worker-{n}"), 1) for n in range(WORKERS)]
    return all(task["state"] == "running" for task in tasks) and said == [["held"]] * WORKERS


def _had(run: Run) -> dict[str, Any]:
    """What the supervisor and the launch server's processes have now."""
    from tenfold.run.jsonfiles import read_json

    said = read_json(run.directory.status)
    assert said is not None
    supervisor = psutil.Process(said["supervisor_pid"])
    tasks = {task["pid"] for task in run.status()["tasks"]}
    below = supervisor.children(recursive=True)
    own = [supervisor, *(one for one in below if _serves(one))]
    assert len(own) in (2, 3)
    return {
        "descriptors": [_fewest_descriptors(one) for one in own],
        "threads": [one.num_threads() for one in own],
        "sockets": [len(one.net_connections("inet")) for one in own],
        "zombies": [one.pid for one in below if one.status() == psutil.STATUS_ZOMBIE],
        "strangers": [
            _words(one) for one in below if one not in own and not {one.pid, one.ppid()} & tasks
        ],
        "memory": [one.memory_info().rss for one in own],
    }


def _fewest_descriptors(process: psutil.Process) -> int:
    """Without those that are open for a moment: a file that is being written."""
    found = []
    for _ in range(20):
        found.append(process.num_fds())
        time.sleep(0.01)
    return min(found)


def _serves(process: psutil.Process) -> bool:
    words = _words(process)
    return "tenfold.launch.server" in words or "tenfold: has imported" in words


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _worker(way: str, hold: Path, n: int) -> Task:
    """A task that ends at once unless `hold` exists; some are forked from a preload."""
    if way == "preload":
        code = (
            f"import os, time; print('hello')\nif os.path.exists({str(hold)!r}):"
            " print('held'); time.sleep(600)\nexit(1)"
        )
        command = (sys.executable, "-c", code)
        return Task("worker", n, command, workdir="/tmp", preload=("json",))
    return shell(
        f"worker/{n}", f"echo hello; test -e {hold} && echo held && exec sleep 600; exit 1"
    )


@pytest.mark.parametrize("way", ["namespace", "loopback", "preload"])
def test_nothing_leaks_over_many_restarts(runs: Path, way: str, tmp_path: Path) -> None:
    isolation = "none" if way == "preload" else way
    hold = tmp_path / "hold"
    rule = RestartPolicy("always", 1_000_000, 0.01, window_s=0.01)
    workers = [replace(_worker(way, hold, n), restart=rule) for n in range(WORKERS)]
    plan = plan_of(shell("chief", "exec sleep 600"), *workers)
    run = up(plan, runs=runs, isolation=isolation)
    wait_for(lambda: _restarts(run) >= 2 * WORKERS, 60)
    hold.touch()
    wait_for(lambda: _all_hold(run), 60)
    few, before = _restarts(run), _had(run)
    began = time.monotonic()
    hold.unlink()
    for task in run.status()["tasks"][1:]:
        os.kill(task["pid"], signal.SIGKILL)
    wait_for(lambda: _restarts(run) >= few + RESTARTS, 600)
    took = time.monotonic() - began
    hold.touch()
    wait_for(lambda: _all_hold(run), 60)
    after = _had(run)
    many = _restarts(run) - few
    grown = [
        now - then for then, now in zip(before.pop("memory"), after.pop("memory"), strict=True)
    ]
    print(f"{way}: {many} restarts in {took:.1f} s; memory grew by {grown} bytes; {after}")
    threads = zip(before.pop("threads"), after.pop("threads"), strict=True)
    assert all(now <= then + POOL for then, now in threads)
    assert after == before
    assert after["zombies"] == after["strangers"] == []
    assert max(grown) < 2_000_000 + 10_000 * many
    run.stop(timeout_s=60)
