"""Who talks to whom on the local cell, measured on real tasks, with and without a namespace."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, up
from tenfold.launch import namespace
from tenfold.planning.plan import ReadinessCheck, RestartPolicy, Task
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tenfold.views.traffic import MapReader
from tenfold.views.usage import UsageReader, history
from tenfold.views.why import account
from tests.cells import talkers
from tests.cells.talkers import server, talker
from tests.cells.test_unprivileged import ROOT, up_as_nobody
from tests.cells.test_unprivileged import home as home
from tests.conftest import wait_for
from tests.plans import plan_of

SENT = 10 << 20
"""Bytes that a talker sends to each server."""


def _edges(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    return {(e["from"], e["to"]): e for e in MapReader(run.directory).read().to_json()["edges"]}


def test_edges_carry_what_was_sent(runs: Path, isolation: str) -> None:
    tasks = [server(sys.executable, 0), server(sys.executable, 1)]
    tasks += [talker(sys.executable, index) for index in range(2)]
    made = up(plan_of(*tasks, success=("worker",)), runs=runs, isolation=isolation)
    wait_for(lambda: (("ps/0", "worker/0") in _edges(made)
                      and _edges(made)["ps/0", "worker/0"]["rate_bytes_s"] > 0))  # fmt: skip
    live = _edges(made)["ps/0", "worker/0"]
    assert live["connections"] == 1
    assert live["last_byte"] > made.status()["started"]
    usage = UsageReader(made.directory).read(["worker/0"])["worker/0"]
    assert (usage.memory or 0) > 1 << 20
    assert made.wait(60)["state"] == "succeeded"
    edges = _edges(made)
    pairs = {(f"ps/{ps}", f"worker/{worker}") for ps in range(2) for worker in range(2)}
    assert set(edges) == pairs
    for pair in pairs:
        assert edges[pair]["mark"] == "as planned"  # they were handed the addresses
        assert edges[pair]["bytes_from"] == pytest.approx(SENT, abs=2)
        assert edges[pair]["bytes_to"] == pytest.approx(SENT / 4, rel=0.01)
        assert edges[pair]["connections"] == 0
    assert len(history(made.directory.task("worker-0"))["cpu"]) >= 1
    assert made.directory.supervisor_log.read_text() == ""


COUNTERS = """
time.sleep(1)
for line in open('/proc/net/dev'):
    name, _, numbers = line.partition(':')
    if name.strip() == 'lo':
        print('lo', numbers.split()[0])
"""


@pytest.mark.skipif(namespace.refusal() is not None, reason="this machine refuses namespaces")
def test_the_sum_over_edges_is_what_the_interface_counted(runs: Path) -> None:
    """In a network of the run's own every packet is the cluster's: headers are the difference."""
    tasks = [server(sys.executable, 0), server(sys.executable, 1)]
    tasks += [talker(sys.executable, index) for index in range(3)]
    last = talker(sys.executable, 0, job="chief", after=COUNTERS)
    made = up(plan_of(*tasks, last), runs=runs, isolation="namespace")
    assert made.wait(60)["state"] == "succeeded"
    lines = last_lines(made.directory.task("chief-0"), 5)
    counted = int(next(line for line in lines if line.startswith("lo ")).split()[1])
    total = sum(edge["bytes"] for edge in _edges(made).values())
    assert total == pytest.approx(counted, rel=0.02)
    assert total > 80 * 1e6


CHATTER = """
for _ in range(600):
    for peer in peers:
        peer.sendall(b"x" * 4000)
        heard = 0
        while heard < 1000 - 3:
            heard += len(peer.recv(1 << 16))
    time.sleep(0.1)
"""

SWITCH = """
import fcntl, socket, struct, sys
made = socket.socket()
flags = struct.unpack("16xh14x", fcntl.ioctl(made, 0x8913, struct.pack("16s16x", b"lo")))[0]
flags = flags | 1 if sys.argv[1] == "up" else flags & ~1
fcntl.ioctl(made, 0x8914, struct.pack("16sh14x", b"lo", flags))
"""
"""Switches loopback `up` or `down`: SIOCGIFFLAGS and SIOCSIFFLAGS, IFF_UP (netdevice(7))."""


def _switch(run: Run, way: str) -> None:
    """The network of a run's own, on or off."""
    pid = next(str(task["pid"]) for task in run.status()["tasks"] if task["pid"])
    argv = ["nsenter", "--net", "-t", pid, sys.executable, "-c", SWITCH, way]
    subprocess.run(argv, check=True, timeout=20)


@pytest.mark.skipif(namespace.refusal() is not None, reason="this machine refuses namespaces")
@pytest.mark.skipif(os.geteuid() != 0, reason="switching a network off takes root")
def test_a_cut_edge_is_distinguished_from_a_silent_one(runs: Path) -> None:
    tasks = [server(sys.executable), talker(sys.executable, 0, size=1000, pieces=3, after=CHATTER)]
    made = up(plan_of(*tasks), runs=runs, isolation="namespace")
    pair = ("ps/0", "worker/0")
    wait_for(lambda: pair in _edges(made) and _edges(made)[pair]["rate_bytes_s"] > 0)
    _switch(made, "down")
    wait_for(lambda: _edges(made)[pair]["mark"] == "cut", 30)
    assert account(made.directory).headline.startswith(
        "c runs, but: ps/0 is cut off: what it and worker/0 send each other is not acknowledged"
    )
    _switch(made, "up")
    wait_for(lambda: _edges(made)[pair]["mark"] == "as planned", 60)
    made.stop(timeout_s=60)


QUICK = """
host, port = addresses[0].rsplit(":", 1)
for _ in range(20):
    with socket.create_connection((host, port)) as made:
        made.sendall(b"y" * 40_000)
        made.recv(10_000)
"""


def test_connections_shorter_than_a_sample_are_not_lost(runs: Path) -> None:
    """Their bytes are there; of who opened them only the address may be left."""
    quick = talker(sys.executable, 0, size=1000, pieces=3, after=QUICK)
    made = up(plan_of(server(sys.executable), quick, success=("worker",)), runs=runs)
    assert made.wait(60)["state"] == "succeeded"
    edges = _edges(made)
    assert sum(edge["bytes_from"] for edge in edges.values()) >= 20 * 40_000
    assert {edge["to"] for edge in edges.values()} <= {"worker/0", "outside:127.0.0.1"}


def test_totals_continue_when_a_task_is_restarted(runs: Path) -> None:
    dies = "import os; first = not os.path.exists(os.environ['TENFOLD_RUN_DIRECTORY'] + '/died')\n"
    dies += "open(os.environ['TENFOLD_RUN_DIRECTORY'] + '/died', 'w').close()\n"
    dies += "time.sleep(1.5); os.kill(os.getpid(), 9) if first else None"
    worker = talker(sys.executable, 0, size=100_000, pieces=3, after=dies,
                    restart=RestartPolicy("on-failure", 3, 0.1))  # fmt: skip
    made = up(plan_of(server(sys.executable), worker, success=("worker",)), runs=runs)
    status = made.wait(60)
    assert status["state"] == "succeeded"
    assert [task["restarts"] for task in status["tasks"]] == [0, 1]
    assert _edges(made)["ps/0", "worker/0"]["bytes_from"] == pytest.approx(600_000, abs=4)


def test_a_task_on_the_hosts_network_is_seen_talking_to_the_outside(runs: Path) -> None:
    """What it reaches there is this test's own server: an address that is no task's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def take() -> None:
            near, _ = listener.accept()
            with near:
                while near.recv(1 << 16):
                    pass

        threading.Thread(target=take, daemon=True).start()
        code = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port}));"
        code += "s.sendall(b'z' * 50_000); time.sleep(2.5)"
        task = Task(job="chief", index=0, command=(sys.executable, "-c", code), workdir="/tmp",
                    network="host")  # fmt: skip
        made = up(plan_of(task), runs=runs)
        assert made.wait(60)["state"] == "succeeded"
    edge = _edges(made)["chief/0", "outside:127.0.0.1"]
    assert edge["bytes_to"] == pytest.approx(50_000, abs=1)
    assert edge["mark"] == "not planned"


def test_probes_and_pages_are_tenfolds_own(runs: Path) -> None:
    """A readiness probe, and what is read through the relay, are no traffic of the cluster's."""
    page = Task(
        job="page", index=0, workdir="/tmp", ports={"http": None}, publish=("http",), service=True,
        command=(sys.executable, "-m", "http.server", "-b", "127.0.0.1", "${task.ports.http}"),
        ready=ReadinessCheck("http", "/", "http"),
    )  # fmt: skip
    chief = Task(job="chief", index=0, command=("sleep", "3"), workdir="/tmp",
                 after={"page": "ready"})  # fmt: skip
    made = up(plan_of(chief, page), runs=runs)
    url = made.wait(30, for_state=("running",))["tasks"][1]["url"]
    with urllib.request.urlopen(url) as answer:
        assert answer.read()
    assert made.wait(60)["state"] == "succeeded"
    assert _edges(made) == {}


FILE = """
cluster: nobody
jobs:
  ps: {run: [python, serve.py], ready: tcp}
  worker: {run: [python, talk.py, "${jobs.ps.addresses}", "100000", "5", ""], after: {ps: ready}}
success: worker
"""


@ROOT
def test_an_ordinary_users_traffic_is_measured(home: Path) -> None:
    (home / "serve.py").write_text(talkers.SERVE)
    (home / "talk.py").write_text(talkers.TALK)
    _, status = up_as_nobody(home, FILE)
    assert status["protection"] == "namespace"
    shown = MapReader(RunDirectory(Path(status["directory"]))).read()
    assert [edge.ends for edge in shown.edges] == [("ps/0", "worker/0")]
    assert shown.edges[0].bytes_from == pytest.approx(500_000, abs=2)


def test_samples_that_cannot_be_written_are_lost_and_nothing_else(runs: Path) -> None:
    tasks = [server(sys.executable), talker(sys.executable, 0, pieces=3)]
    made = up(plan_of(*tasks, success=("worker",)), runs=runs)
    directory = made.directory.task("worker-0")
    wait_for(directory.usage.exists)
    directory.usage.unlink()
    directory.usage.mkdir()  # nothing can be appended to this
    assert made.wait(60)["state"] == "succeeded"
    assert _edges(made)["ps/0", "worker/0"]["bytes"] > 0


def test_damaged_samples_of_an_earlier_life_end_no_run(runs: Path) -> None:
    spoils = """
import pathlib
home = pathlib.Path(os.environ["TENFOLD_RUN_DIRECTORY"]) / "tasks" / "worker-0"
home.mkdir(exist_ok=True)
(home / "traffic.jsonl").write_text('{"time": 1, "peers": {"ps/0": ["x", 1, 1, 1], "y": 7}}\\n')
(home / "usage.jsonl").write_text('{"time": 1, "cpu_s": ' + "9" * 400 + "}\\n")
"""
    spoiler = Task(job="spoiler", index=0, workdir="/tmp",
                   command=(sys.executable, "-c", "import os\n" + spoils))  # fmt: skip
    worker = talker(sys.executable, 0, pieces=3)
    worker = replace(worker, after={"ps": "ready", "spoiler": "succeeded"})
    tasks = [server(sys.executable), worker, spoiler]
    made = up(plan_of(*tasks, success=("worker",)), runs=runs)
    assert made.wait(60)["state"] == "succeeded"
    assert _edges(made)["ps/0", "worker/0"]["bytes_from"] == pytest.approx(3 << 20, abs=2)


RESET = """
peer = peers[0]
peer.shutdown(socket.SHUT_WR)
while peer.recv(1 << 16):
    pass
time.sleep(3.5)
peer.close()
"""
"""Both ways are shut, and the socket, which no look shows any more, is closed much later."""


def test_bytes_of_a_socket_that_is_closed_late_count_once(runs: Path) -> None:
    worker = talker(sys.executable, 0, pieces=3, after=RESET)
    made = up(plan_of(server(sys.executable), worker, success=("worker",)), runs=runs)
    assert made.wait(60)["state"] == "succeeded"
    edges = _edges(made)
    assert sum(edge["bytes_from"] for edge in edges.values()) == pytest.approx(3 << 20, abs=4)


def test_programs_of_the_host_are_no_tasks(runs: Path) -> None:
    """The first task's port in the run's network is somebody else's on the host's."""
    outside = Task(job="chief", index=0, command=("sleep", "3"), workdir="/tmp", network="host")
    inside = Task(job="idle", index=0, command=("sleep", "600"), workdir="/tmp", service=True)
    made = up(plan_of(outside, inside), runs=runs, isolation="namespace")
    made.wait(30, for_state=("running",))
    port = int(next(t["address"] for t in made.status()["tasks"] if t["job"] == "idle")[10:])
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", port)) as near:
                far, _ = stranger.accept()
                with far:
                    near.sendall(b"x" * 10_000)
                    assert far.recv(100)
            time.sleep(0.2)
    assert made.wait(60)["state"] == "succeeded"
    assert _edges(made) == {}
