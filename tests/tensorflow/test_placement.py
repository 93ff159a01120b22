"""Where variables lie is told without the script's doing, and never in the way of a training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tenfold.tensorflow
from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads
from tenfold.planning.plan import Plan
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory, create
from tenfold.views.placement import placement
from tests.conftest import wait_for
from tests.own_process import lazily

tf = lazily("tensorflow")
pytestmark = pytest.mark.imports("tensorflow")

SERVERS = """
import tenfold, tensorflow as tf
strategy = tenfold.tensorflow.strategy()
with strategy.scope() as current:
    assert current is strategy
    table = tf.Variable(tf.ones([50_000, 64]), name="table")
    with strategy.scope():
        small = [tf.Variable(1.0) for _ in range(3)]
    layer = tf.keras.layers.Dense(4096)
    layer.build((None, 64))
    optimizer = tf.keras.optimizers.SGD(momentum=0.9)
    optimizer.build(layer.trainable_variables)
here = tf.Variable(1.0, name="here")
tenfold.tensorflow.record_placement({"mine": [here], "again": table})
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
@tf.function
def step():
    small[0].assign_add(1.0)
    return tf.reduce_sum(table.variables[0]) + tf.reduce_sum(table.variables[2])
sums = [coordinator.schedule(step) for _ in range(8)]
coordinator.join()
print("sums", {float(one.fetch()) for one in sums}, float(small[0]), flush=True)
devices = {shard.name: shard.device for shard in table.variables}
print("devices", devices, flush=True)
"""


def plan_for(tmp_path: Path, script: str, jobs: str) -> Plan:
    """The plan of a cluster whose tasks with `train.py` run `script`."""
    (tmp_path / "train.py").write_text(script)
    text = f"cluster: placed\nframework: tensorflow\njobs: {jobs}\n"
    return planned(loads(text, directory=tmp_path))


def test_shards_are_spread_evenly_over_the_servers(runs: Path, tmp_path: Path) -> None:
    jobs = "{chief: {run: python train.py, after: [ps, worker]}, ps: {tasks: 3}, worker: {}}"
    run = up(plan_for(tmp_path, SERVERS, jobs), runs=runs)
    status = run.wait(200)
    said = last_lines(run.directory.task("chief-0"), 60)
    assert status["state"] == "succeeded", said
    assert "sums {2133312.0} 9.0" in said  # (16667 + 16666) * 64, and 1 + 8 steps
    found = placement(run.directory)
    assert found["told_by"] == "chief/0"
    table = [told for told in found["variables"] if told["variable"] == "table"]
    assert [(told["part"], told["parts"], told["task"]) for told in table] == [
        (0, 3, "ps/0"),
        (1, 3, "ps/1"),
        (2, 3, "ps/2"),
    ]
    assert [told["shape"] for told in table] == [(16667, 64), (16667, 64), (16666, 64)]
    assert [told["bytes"] for told in table] == [16667 * 256, 16667 * 256, 16666 * 256]
    devices = f"devices { {told['name'] + ':0': told['device'] for told in table} }"
    assert devices in said
    assert found["balance"] == pytest.approx(1.0, abs=0.02)
    held = {told["variable"] for told in found["variables"]}
    assert {"dense/kernel", "dense/bias", "here", "Variable"} < held
    assert any("momentum" in name for name in held)
    assert [told["task"] for told in found["variables"] if told["name"] == "here"] == ["chief/0"]
    assert len([told for told in found["variables"] if told["name"] == "Variable"]) == 3


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDirectory]:
    """A run of which this process is the chief, and a placement of which nothing is told."""
    made = create(tmp_path, "c")
    made.task("chief-0").path.mkdir()
    fresh = tenfold.tensorflow._Placement()
    monkeypatch.setattr("tenfold.tensorflow._placement", fresh)
    monkeypatch.setenv("TENFOLD_RUN_DIRECTORY", str(made.path))
    monkeypatch.setenv("TENFOLD_TASK", "chief/0")
    yield made
    fresh.write()


def told(run: RunDirectory) -> list[Any]:
    """The names and tasks that are written in the end."""
    tenfold.tensorflow._placement.write()
    said = json.loads(run.task("chief-0").placement.read_text())
    return [(variable["name"], variable["task"]) for variable in said["variables"]]


def test_written_soon_and_together(run: RunDirectory) -> None:
    kept = [tf.Variable(1.0, name=f"v{n}") for n in range(100)]
    tenfold.tensorflow.record_placement(kept)
    wait_for(run.task("chief-0").placement.exists)
    assert told(run) == [(f"v{n}", "chief/0") for n in range(100)]


def test_a_deleted_variable_is_replaced_by_one_of_the_same_name(
    run: RunDirectory,
) -> None:
    for _ in range(3):  # a notebook's cell that is run again
        variable = tf.Variable([1.0, 2.0], name="rows")
        tenfold.tensorflow.record_placement(variable)
    other = tf.Variable(3.0, name="rows")
    tenfold.tensorflow.record_placement([variable, other])
    assert told(run) == [("rows", "chief/0")] * 2
    del variable, other
    assert told(run) == [("rows", "chief/0")] * 2


def test_keras_variables_and_unknown_shapes(run: RunDirectory) -> None:
    keras = tf.keras.Variable([1.0, 2.0], name="weight")
    free = tf.Variable([1.0], shape=tf.TensorShape(None), name="free")
    tenfold.tensorflow.record_placement([keras, free])
    assert ("free", "chief/0") in told(run)
    said = json.loads(run.task("chief-0").placement.read_text())["variables"]
    assert [(variable["shape"], variable["bytes"]) for variable in said] == [([2], 8), (None, None)]


class _Odd:
    """Something like a variable, on a device that no TensorFlow has."""

    def __init__(self, device: object) -> None:
        self.name, self.device = "odd:0", device
        self.shape = tf.TensorShape([2])
        self.dtype = tf.float32


@pytest.mark.parametrize("device", ["", "GPU:0", "/job:/task:x", None, "/job:ps/task:1"])
def test_invalid_devices_give_no_task(run: RunDirectory, device: object) -> None:
    odd = _Odd(device)
    tenfold.tensorflow.record_placement([odd])
    assert told(run) == [("odd", "ps/1" if device == "/job:ps/task:1" else None)]


def test_values_that_are_no_variables_are_ignored(run: RunDirectory) -> None:
    kept = tf.Variable(1.0, name="kept")
    tenfold.tensorflow.record_placement([3, None, SimpleNamespace(name="x"), kept])
    assert told(run) == [("kept", "chief/0")]


def test_a_full_disk_does_not_stop_the_recording_script(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tenfold.run.jsonfiles.write_json", full)
    variable = tf.Variable(1.0)
    tenfold.tensorflow.record_placement(variable)
    tenfold.tensorflow._placement.write()
    assert not run.task("chief-0").placement.exists()


def test_outside_a_cluster_nothing_is_written(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name.startswith("TENFOLD_") or name == "TF_CONFIG":
            monkeypatch.delenv(name)
    strategy = tenfold.tensorflow.strategy()
    assert strategy is tf.distribute.get_strategy()
    assert "scope" not in vars(strategy)
    with strategy.scope():
        variable = tf.Variable(1.0)
    tenfold.tensorflow.record_placement(variable)
    tenfold.tensorflow._placement.write()
    assert not run.task("chief-0").placement.exists()
