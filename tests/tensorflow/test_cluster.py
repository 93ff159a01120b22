"""Real TensorFlow clusters: the strategy, the standard servers, the 2016 style, a lost worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, planned, up
from tenfold.cluster.file import loads
from tenfold.planning.plan import Plan
from tenfold.run.logs import last_lines
from tenfold.views.placement import placement
from tests.conftest import pid_of, wait_for
from tests.own_process import require
from tests.security.strangers import addresses, of_others, reached, second_machine, second_network

require("tensorflow")

pytestmark = pytest.mark.usefixtures("lean_tensorflow")

STRATEGY = """
import os, sys, time
import tenfold, tensorflow as tf
strategy = tenfold.tensorflow.strategy()
with strategy.scope():
    table = tf.Variable(tf.ones([50_000, 64]))
    small = [tf.Variable(1.0) for _ in range(4)]
places = {}
for shard in [*table.variables, *small]:
    places.setdefault(shard.device.split("/")[3], 0)
    places[shard.device.split("/")[3]] += shard.shape.num_elements() * 4
print("bytes", sorted(places.items()), flush=True)
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
@tf.function
def step():
    return tf.reduce_sum(table.variables[0]) + tf.reduce_sum(table.variables[1])
def round_trip(count):
    values = [coordinator.schedule(step) for _ in range(count)]
    coordinator.join()
    return {float(value.fetch()) for value in values}
print("sums", round_trip(40), flush=True)
open(tenfold.task().results / "first", "w").close()
while not (tenfold.task().results / "go").exists():
    time.sleep(0.05)
print("again", round_trip(40), flush=True)
"""


def lines_of(run: Run, label: str) -> list[str]:
    """The last lines of a task."""
    return last_lines(run.directory.task(label), 60)


def task(run: Run, name: str) -> dict[str, Any]:
    """A task's status."""
    return dict(next(t for t in run.status()["tasks"] if t["task"] == name))


def write(directory: Path, name: str, text: str) -> Path:
    """A file of the user's."""
    path = directory / name
    path.write_text(text)
    return path


def plan_for(tmp_path: Path, text: str) -> Plan:
    """The plan of a cluster file in `tmp_path`."""
    return planned(loads(text, directory=tmp_path))


@pytest.mark.parametrize("isolation", ["namespace"], indirect=True)
def test_parameter_servers_share_the_bytes_and_a_lost_worker_is_restarted(
    runs: Path, tmp_path: Path, isolation: str
) -> None:
    write(tmp_path, "train.py", STRATEGY)
    text = """
cluster: shards
framework: tensorflow
jobs: {chief: {run: python train.py, after: [ps, worker]}, ps: {tasks: 2}, worker: {tasks: 2}}
"""
    run = up(plan_for(tmp_path, text), runs=runs, isolation=isolation)
    first = run.directory.shared("results") / "first"
    wait_for(lambda: first.exists() or not run.directory.alive(), 150)
    assert first.exists(), run.status()["first_failure"]
    os.kill(pid_of(run, "worker/1"), signal.SIGKILL)
    wait_for(lambda: task(run, "worker/1")["restarts"] == 1, 60)
    wait_for(lambda: task(run, "worker/1")["state"] == "running", 60)
    (run.directory.shared("results") / "go").touch()
    status = run.wait(150)
    said = lines_of(run, "chief-0")
    assert status["state"] == "succeeded", said
    half = 50_000 * 64 * 4 // 2
    assert f"bytes [('task:0', {half + 8}), ('task:1', {half + 8})]" in said
    assert "sums {3200000.0}" in said
    assert "again {3200000.0}" in said


MIRRORED = """
import tenfold, tensorflow as tf
strategy = tenfold.tensorflow.strategy()
print(type(strategy).__name__, strategy.num_replicas_in_sync, flush=True)
with strategy.scope():
    total = tf.Variable(tf.zeros([3, 4]), name="total")
@tf.function
def step():
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0))
print("reduced", float(strategy.experimental_local_results(strategy.run(step))[0]), flush=True)
"""


def test_workers_without_parameter_servers_are_mirrored_and_hold_the_same_variables(
    runs: Path, tmp_path: Path
) -> None:
    write(tmp_path, "train.py", MIRRORED)
    text = """
cluster: mirrored
framework: tensorflow
jobs: {worker: {tasks: 2, run: python train.py}}
"""
    run = up(plan_for(tmp_path, text), runs=runs, isolation="none")
    status = run.wait(150)
    assert status["state"] == "succeeded", status["first_failure"]
    for label in ("worker-0", "worker-1"):
        said = lines_of(run, label)
        # TensorFlow's own name of MultiWorkerMirroredStrategy, and both replicas
        assert "CollectiveAllReduceStrategy 2" in said
        assert "reduced 2.0" in said
    found = placement(run.directory)
    (total,) = found["variables"]
    assert (total["name"], total["task"], total["also_on"]) == ("total", "worker/0", ["worker/1"])
    assert (found["servers"], found["balance"]) == ([], None)
    assert [worker["bytes"] for worker in found["workers"]] == [48, 48]


CLIENT_2016 = """
import tensorflow.compat.v1 as tf
import tenfold
tf.disable_eager_execution()
with tf.device("/job:ps/task:0"):
    weight = tf.get_variable("w", [], initializer=tf.constant_initializer(20.0))
with tf.device("/job:worker/task:3"):
    result = weight + 22.0
target = "grpc://" + tenfold.task().addresses["master"][0]
with tf.Session(target) as session:
    session.run(tf.global_variables_initializer())
    print("answer", session.run(result), result.device, weight.device)
"""

SERVERS_2016 = """
cluster: talk
framework: tensorflow
jobs: {master: {}, ps: {tasks: 2}, worker: {tasks: 4}}
"""


@pytest.mark.parametrize("isolation", ["namespace", "loopback"], indirect=True)
def test_a_2016_client_works_beside_plain_servers(
    runs: Path, tmp_path: Path, isolation: str
) -> None:
    """`tenfold exec master -- python client.py`, and from outside nobody reaches a server."""
    client = write(tmp_path, "client.py", CLIENT_2016)
    run = up(plan_for(tmp_path, SERVERS_2016), runs=runs, isolation=isolation)
    run.wait(150, for_state=("running",))
    labels = ["ps-0", "ps-1", "worker-3", "master-0"]
    wait_for(lambda: all("serving" in " ".join(lines_of(run, label)) for label in labels), 150)
    command = [sys.executable, "-m", "tenfold", "exec", "--runs", str(runs), "master/0", "--"]
    done = subprocess.run(
        [*command, "python", str(client)], capture_output=True, text=True, timeout=120, check=False
    )
    assert "answer 42.0 /job:worker/task:3 /job:ps/task:0" in done.stdout, done.stderr
    assert done.returncode == 0
    ports = {int(t["address"].rpartition(":")[2]) for t in run.status()["tasks"]}
    if isolation == "namespace":
        ports -= of_others(ports)
    assert run.status()["protection"] == isolation
    from_here = {host for host, _ in reached(addresses(), ports)}
    if isolation == "namespace":
        assert from_here == set()
    else:
        assert from_here == {"127.0.0.1"}
    if second_network:
        with second_machine() as reached_from_there:
            assert reached_from_there(ports) == set()
    assert run.stop(timeout_s=60)["state"] == "stopped"
