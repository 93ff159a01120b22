"""What a task of the superuser reaches through the processes that it sees: nothing outside."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.launch import namespace
from tests.plans import plan_of, shell

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's task may enter no namespace"),
    pytest.mark.skipif(namespace.refusal() is not None, reason="no namespace here"),
]

ESCAPE = """
import ctypes, json, os, socket, sys

libc = ctypes.CDLL(None, use_errno=True)
NEWNET, PIDFD_OPEN, PIDFD_GETFD = 0x40000000, 434, 438
own = os.stat("/proc/self/ns/net").st_ino
found = []

def reaches():
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2):
            return True
    except OSError:
        return False

def enter(path):
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    if libc.setns(descriptor, NEWNET) == 0 and reaches():
        found.append(path)
    os.close(descriptor)

def take(pid):
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    for number in range(256) if pidfd >= 0 else ():
        got = libc.syscall(PIDFD_GETFD, pidfd, number, 0)
        if got < 0:
            continue
        link = os.readlink(f"/proc/self/fd/{got}")
        for below in ("", "/1/ns/net", "/self/ns/net"):
            enter(f"/proc/self/fd/{got}{below}")
        if link.startswith("socket:") and socket.socket(fileno=os.dup(got)).family in (2, 10, 16):
            found.append(f"{link} of {pid}")

if reaches():
    found.append("itself")
seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
for pid in seen:
    enter(f"/proc/{pid}/ns/net")
    if pid != os.getpid():
        take(pid)
print(json.dumps([1 in seen, len(seen), found]), flush=True)
"""


@pytest.mark.parametrize("preload", [("json",), ()])
def test_a_task_of_root_finds_no_way_into_the_machines_network(
    runs: Path, preload: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        command = (sys.executable, "-c", ESCAPE, str(outside.getsockname()[1]))
        task = replace(shell("chief", ""), command=command, preload=preload)
        run = up(plan_of(task), runs=runs, isolation="namespace")
        assert run.wait(60)["state"] == "succeeded"
    sees_first, count, found = json.loads(run.directory.task("chief-0").log("stdout").read_text())
    assert sees_first
    assert count >= 2
    assert found == []


def test_a_task_that_wants_the_machines_network_is_in_it(runs: Path) -> None:
    """And a child of the launch server all the same, with its true exit code."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        port = outside.getsockname()[1]
        code = (
            "import os, socket, sys\n"
            f"socket.create_connection(('127.0.0.1', {port}), 5)\n"
            "print(os.getppid()); sys.exit(5)\n"
        )
        command = (sys.executable, "-c", code)
        tasks = [
            replace(shell(name, ""), command=command, preload=preload, network="host")
            for name, preload in (("chief", ()), ("worker", ("json",)))
        ]
        run = up(plan_of(*tasks, success=("chief", "worker")), runs=runs, isolation="namespace")
        status = run.wait(60)
    assert {task["exit_code"] for task in status["tasks"]} <= {5, None}
    assert 5 in {task["exit_code"] for task in status["tasks"]}
    logs = [run.directory.task(task.label).log("stdout") for task in tasks]
    assert {log.read_text().strip() for log in logs if log.exists()} <= {"1", ""}
