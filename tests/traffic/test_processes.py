"""Which processes are a task's, and what they use: real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.traffic.processes import Processes
from tests.conftest import wait_for

BUSY = """
import os, socket, subprocess, sys, time
made = socket.create_server(("127.0.0.1", 0))
inner = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
print(os.fstat(made.fileno()).st_ino, inner.pid, flush=True)
if sys.argv[1] == "leave":
    os._exit(0)
until = time.process_time() + 0.3
while time.process_time() < until: pass
ballast = bytearray(50_000_000)
print("done", flush=True)
sys.stdin.read()
""".replace("SLEEP", repr("import sys; sys.stdin.read()"))


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"TENFOLD_TASK": "worker/3", "TENFOLD_RUN_DIRECTORY": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, "stay"], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    ) as process:  # fmt: skip
        yield process


def test_sockets_cpu_and_memory_of_a_task(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    assert busy.stdout is not None
    inode, _ = map(int, busy.stdout.readline().split())
    processes = Processes(str(tmp_path))
    processes.begin("worker/3", busy.pid, used_s=10.0)
    assert busy.stdout.readline() == "done\n"
    processes.search()
    assert processes.sockets()[0][inode] == "worker/3"
    usage = processes.usage()["worker/3"]
    assert usage.processes == 2  # its child, in a session of its own, too
    assert usage.cpu_s >= 10.3
    assert usage.memory > 50_000_000
    processes.end("worker/3")
    assert processes.usage() == {}
    assert processes.living() == []


def test_cpu_time_only_grows(busy: subprocess.Popen[str], tmp_path: Path) -> None:
    processes = Processes(str(tmp_path))
    processes.begin("worker/3", busy.pid)
    assert busy.stdout is not None
    busy.stdout.readline()
    busy.stdout.readline()
    before = processes.usage()["worker/3"].cpu_s
    processes.begin("worker/3", os.getpid())  # restarted as another process
    assert processes.usage()["worker/3"].cpu_s >= before


def test_a_daemon_is_attributed_by_its_environment(tmp_path: Path) -> None:
    """A daemon whose parent ended belongs to its task, and to no task of another run."""
    environment = os.environ | {"TENFOLD_TASK": "worker/3", "TENFOLD_RUN_DIRECTORY": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, "leave"], text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    ) as gone:  # fmt: skip
        assert gone.stdout is not None
        _, daemon = map(int, gone.stdout.readline().split())
        gone.wait()
        with subprocess.Popen(["sleep", "60"]) as root:
            try:
                wait_for(lambda: Path(f"/proc/{daemon}/environ").read_bytes())
                ours, others = Processes(str(tmp_path)), Processes(str(tmp_path / "other"))
                for processes in (ours, others):
                    processes.begin("worker/3", root.pid)
                    processes.search()
                    processes.search()
                assert ours.usage()["worker/3"].processes == 2
                neighbour = Processes(str(tmp_path))
                neighbour.begin("worker/1", root.pid)
                neighbour.search()
                assert neighbour._neighbours == {"worker/3": {daemon}}
                assert others.usage()["worker/3"].processes == 1
            finally:
                root.kill()


def test_without_proc_no_process_is_found(tmp_path: Path) -> None:
    processes = Processes(str(tmp_path), proc=str(tmp_path / "proc"))
    processes.begin("worker/3", os.getpid())
    processes.search()
    assert processes.sockets() == ({}, {})
    assert processes.usage()["worker/3"].processes == 0
