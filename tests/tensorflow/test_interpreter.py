"""TensorFlow in an environment that has neither tenfold nor its packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tests import pythons
from tests.conftest import survivors

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="no TensorFlow"),
]

CHIEF = """
import sys
import tensorflow as tf
import tenfold
strategy = tenfold.tensorflow.strategy()
coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
with strategy.scope():
    variable = tf.Variable(1.0)

@tf.function
def step():
    return variable.assign_add(1.0)

for _ in range(4):
    coordinator.schedule(step)
coordinator.join()
print("value", variable.numpy(), sys.prefix)
"""


def test_standard_servers_and_a_chief_train_there(tmp_path: Path, runs: Path) -> None:
    python = pythons.with_packages(pythons.venv(tmp_path / "env"))
    (tmp_path / "chief.py").write_text(CHIEF)
    (tmp_path / "tenfold.yaml").write_text(
        "cluster: c\nframework: tensorflow\npython: env\n"
        "jobs: {chief: {run: python chief.py}, ps: {}, worker: {tasks: 2}}\n"
    )
    made = planned(tmp_path / "tenfold.yaml")
    assert made.task("ps/0").command[0] == str(python)
    run = up(made, runs=runs)
    assert run.wait(240)["state"] == "succeeded"
    assert survivors(run.directory.path) == []
    said = (run.directory.task("chief-0").path / "stdout.log").read_text()
    assert f"value 5.0 {python.parents[1]}" in said
