"""Clusters of real processes that hang: who is named, what is written, what is done about it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import HangPolicy, ReadinessCheck, RestartPolicy, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tests.conftest import pid_of, wait_for
from tests.plans import plan_of, shell

TRAIN = """
import socket, sys, threading, time, tenfold
me, stick, steps = tenfold.task(), int(sys.argv[1]), int(sys.argv[2])
def hold():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
def wait_for_others():
    socket.create_server(("127.0.0.1", 0)).accept()
for step in range(steps):
    if me.job == "chief":
        tenfold.progress(step, steps)
    if step == stick:
        print("last words", flush=True)
        hold() if me.name == "worker/1" else wait_for_others()
    time.sleep(0.05)
"""
"""Three workers and a chief that tells how far it is; at the step `stick` all wait for worker/1."""


def trainer(name: str, stick: int, steps: int = 10_000, **more: Any) -> Task:
    """One of them."""
    job, _, index = name.partition("/")
    words = ("python", "-c", TRAIN, str(stick), str(steps))
    return Task(job=job, index=int(index or 0), command=words, workdir="/tmp", preload=("json",),
                **more)  # fmt: skip


def cluster(
    runs: Path, hang: HangPolicy, *, stick: int = 10_000, steps: int = 10_000, **more: Any
) -> Run:
    """A run of theirs that is up."""
    tasks = [trainer("chief", stick, steps, **more)]
    tasks += [trainer(f"worker/{n}", stick, steps, **more) for n in range(3)]
    run = up(plan_of(*tasks, hang=hang, stop_grace_s=0.5), runs=runs)
    run.wait(30, for_state=("running",))
    return run


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    return [event.to_json() for event in read_events(run.directory.events)[0] if event.kind == kind]


def the_hang(run: Run) -> dict[str, Any]:
    wait_for(lambda: events(run, "hang"), 30)
    (hang,) = events(run, "hang")
    return hang


def test_the_task_that_blocks_the_others_is_named(runs: Path) -> None:
    run = cluster(runs, HangPolicy(1.0), stick=10)
    hang = the_hang(run)
    assert hang["task"] == "worker/1"
    assert "worker/1 is at hold (<string>:" in hang["words"]
    assert "2 of 3 worker tasks are at wait_for_others" in hang["words"]
    wait_for(lambda: run.status()["hang"], 10)
    said = run.status()["hang"]
    assert (said["task"], said["report"], said["action"]) == ("worker/1", hang["report"], "report")
    path = Path(hang["report"])
    report = read_json(path.with_name("report.json")) or {}
    assert report["task"] == "worker/1"
    assert report["lines"] == {name: ["last words"] for name in report["lines"]}
    assert report["groups"][0]["tasks"] == ["chief/0", "worker/0", "worker/2"]
    for one in report["tasks"]:
        assert [process["source"] for process in one["processes"]] == ["faulthandler"], one
    text = path.read_text()
    assert "worker/1 is at hold" in text
    assert "    last words\n" in text
    (task,) = [one for one in report["tasks"] if one["task"] == "worker/1"]
    files = [frame["file"] for frame in task["processes"][0]["stacks"][0]["frames"]]
    assert set(files) == {"<string>"}, "tenfold's own frames are left out"
    assert run.stop(timeout_s=60)["hang"]["task"] == "worker/1"


def test_a_stopped_task_is_named_and_can_continue(runs: Path) -> None:
    run = cluster(runs, HangPolicy(1.0))
    pid = pid_of(run, "worker/2")
    os.kill(pid, signal.SIGSTOP)
    stopped = time.time()
    hang = the_hang(run)
    assert hang["task"] == "worker/2"
    assert hang["words"].startswith("worker/2 has been stopped for ")
    assert f"`kill -CONT {pid}` continues it" in hang["words"]
    assert hang["time"] - stopped < 30  # docs/reliability.md has how long it really takes
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: events(run, "progress-resumed"), 10)
    wait_for(lambda: run.status()["hang"] is None, 10)
    run.stop(timeout_s=60)


BARS = """
import sys, time
def draw(text):
    sys.stderr.write("\\r" + text)
    sys.stderr.flush()
    time.sleep(0.05)
for n in range(41):
    draw(f"train: {100 * n // TOTAL}%|# | {n}/TOTAL [loss={40 - n}]")
AFTER
"""
"""A bar, and what follows it."""


def bar_run(runs: Path, total: int, after: str) -> Run:
    code = BARS.replace("TOTAL", str(total)).replace("AFTER", after)
    worker = Task(job="worker", index=0, command=("python", "-c", code), workdir="/tmp")
    return up(plan_of(worker, hang=HangPolicy(1.0), stop_grace_s=0.5), runs=runs)


def test_a_bar_that_is_drawn_again_but_stands_is_a_hang(runs: Path) -> None:
    run = bar_run(runs, 100, "while True: draw('train: 40%|# | 40/100 [loss=0]')")
    assert "no progress bar has moved" in the_hang(run)["words"]
    run.stop(kill=True, timeout_s=20)


@pytest.mark.parametrize(
    ("total", "after"),
    [
        (40, "time.sleep(6)"),  # it has reached its end
        (100, "sys.stderr.write('\\n'); time.sleep(6)"),  # it was closed
        (100, "for n in range(120): draw(f'train: {40 + n / 10}% [loss=0]')"),
    ],
)
def test_a_bar_that_has_ended_or_moves_slowly_is_no_hang(
    runs: Path, total: int, after: str
) -> None:
    run = bar_run(runs, total, after)
    assert run.wait(60)["state"] == "succeeded"
    assert events(run, "hang") == []


def test_the_restart_action_restarts_only_the_culprit(runs: Path) -> None:
    run = cluster(runs, HangPolicy(1.0, "restart"))
    os.kill(pid_of(run, "worker/0"), signal.SIGSTOP)
    wait_for(lambda: run.status()["tasks"][1]["restarts"] == 1, 30)
    assert [task["restarts"] for task in run.status()["tasks"]] == [0, 1, 0, 0]
    assert [event["task"] for event in events(run, "restart-asked")] == ["worker/0"]
    wait_for(lambda: run.status()["hang"] is None, 10)
    assert run.status()["state"] == "running"
    run.stop(timeout_s=60)


def test_restart_has_a_budget(runs: Path) -> None:
    rule = RestartPolicy("on-failure", limit=1, scope="cluster")
    run = cluster(runs, HangPolicy(1.0, "restart"), stick=10, restart=rule)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert status["reason"].startswith("hung, and all restarts are used up: no progress for ")
    assert [task["restarts"] for task in status["tasks"]] == [1, 1, 1, 1]
    assert len(events(run, "hang")) == 2


def test_the_stop_action_fails_the_run_and_gives_the_reason(runs: Path) -> None:
    run = cluster(runs, HangPolicy(1.0, "stop"), stick=10)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert re.match(r"hung: no progress for [\d.]+ s: worker/1 is at hold", status["reason"])


def test_a_training_that_progresses_is_no_hang(runs: Path) -> None:
    run = cluster(runs, HangPolicy(2.0, "stop"), steps=60)
    assert run.wait(60)["state"] == "succeeded"
    assert not events(run, "hang")
    assert not (run.directory.path / "hangs").exists()


SERVE = """
import os, socket
server = socket.create_server(("", int(os.environ["TENFOLD_ADDRESS"].split(":")[1])))
print("listens", flush=True)
connection = server.accept()[0]
while connection.recv(65536):
    pass
"""

TALK = """
import socket, sys, time
connection = socket.create_connection(sys.argv[1].split(":"))
for _ in range(10):
    connection.sendall(b"x" * 100000)
    time.sleep(0.1)
def stuck():
    time.sleep(600)
stuck()
"""


def test_traffic_that_stops_is_a_hang(runs: Path) -> None:
    """No progress, no event files: what is planned to talk, and does not any more."""
    ps = Task(job="ps", index=0, command=("python", "-c", SERVE), workdir="/tmp", service=True,
              ready=ReadinessCheck("log", "listens"))  # fmt: skip
    chief = Task(job="chief", index=0, command=("python", "-c", TALK, "${jobs.ps.addresses}"),
                 workdir="/tmp", after={"ps": "ready"})  # fmt: skip
    run = up(plan_of(chief, ps, hang=HangPolicy(1.5)), runs=runs)
    hang = the_hang(run)
    assert hang["words"].startswith("no traffic between tasks that must communicate, and no output")
    assert hang["time"] - run.status()["started"] > 2
    report = read_json(Path(hang["report"]).with_name("report.json")) or {}
    assert report["suspects"][0]["task"] == "chief/0"
    run.stop(timeout_s=60)


def test_a_quiet_cluster_is_not_watched(runs: Path) -> None:
    run = up(plan_of(shell("chief", "sleep 1.5"), hang=HangPolicy(0.3, "stop")), runs=runs)
    assert run.wait(60)["state"] == "succeeded"
    assert not events(run, "hang")
