"""`tenfold stacks`, and how a hang looks in the other commands."""

from __future__ import annotations

import json
import os
import signal
import time

from tests.cli.desk import Desk
from tests.conftest import wait_for

TRAIN = """
import threading, tenfold
me = tenfold.task()
def hold():
    print("stuck", flush=True)
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
def step():
    hold()
tenfold.progress(1, 10)
step()
"""

CLUSTER = """
cluster: demo
hang: {after: 1s}
success: worker
stop_grace: 1s
jobs:
  worker: {tasks: 4, run: python train.py, preload: [json]}
  shell: {run: "sh -c 'echo stuck; exec sleep 600'"}
"""


def test_stacks_of_a_cluster_that_hangs(desk: Desk) -> None:
    desk.write(CLUSTER)
    desk.write(TRAIN, "train.py")
    with desk.type("up", "-y") as up:
        up.see(r"· no progress for [\d.]+ s.*; report: /.*/hangs/.*/report.txt")
        pid = json.loads(desk.tenfold("ps", "--json").out)["tasks"][1]["pid"]
        shown = desk.tenfold("stacks")
        assert shown.code == 0, shown.err
        lines = shown.out.splitlines()
        assert lines[0].startswith("demo ")
        assert "running  5 tasks asked in " in lines[0]
        assert lines[1].startswith("hangs: no progress for ")
        where = lines.index(next(line for line in lines if line.startswith("×4  worker/0-3  ")))
        frames = ["hold  train.py:8", "step  train.py:10", "<module>  train.py:12"]
        assert [line.strip() for line in lines[where + 1 : where + 4]] == frames
        assert any(line.startswith("×1  shell/0  running, sleeps") for line in lines)
        assert "    sleep is not a Python program" in lines

        assert "hangs: no progress for " in desk.tenfold("ps").out
        raw = desk.tenfold("stacks", "worker/2", "--raw").out
        assert raw.startswith("worker/2: python")
        assert 'train.py", line 8 in hold' in raw

        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: "stands out: worker/1 is stopped" in desk.tenfold("stacks").out, 10)
        said = json.loads(desk.tenfold("stacks", "demo", "worker", "--json").out)
        assert said["version"] == 1
        assert said["hang"]["action"] == "report"
        assert said["suspects"][0]["task"] == "worker/1"
        assert [group["tasks"] for group in said["groups"]] == [
            ["worker/0", "worker/2", "worker/3"], ["worker/1"],
        ]  # fmt: skip
        assert [task["processes"][0]["state"] for task in said["tasks"]] == ["S", "T", "S", "S"]
        assert "raw" not in said["tasks"][0]["processes"][0]
        began = time.monotonic()
        up.press("\x03")
        assert up.end() == 130
        assert time.monotonic() - began < 30


def test_stacks_of_a_missing_run_are_an_error(desk: Desk) -> None:
    nothing = desk.tenfold("stacks")
    assert (nothing.code, "no run under" in nothing.err) == (2, True)
    desk.write('cluster: demo\njobs: {chief: {run: "true"}}\n')
    assert desk.tenfold("up").code == 0
    over = desk.tenfold("stacks")
    assert over.code == 1
    assert "of demo is not running" in over.err
    assert 'has no task "work"' in desk.tenfold("stacks", "-c", "demo", "work").err
