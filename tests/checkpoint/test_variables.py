"""TensorFlow's variables: written by TensorFlow, read again, and a disk that is full."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tenfold.checkpoint import Variables, manifest, tensorflow
from tests.checkpoint.conftest import SmallDisk
from tests.own_process import lazily

tf = lazily("tensorflow")
pytestmark = pytest.mark.imports("tensorflow")


def training(place: Path, words: int = 10) -> tuple[Variables, Any, Any]:
    rows = tf.Variable(tf.zeros([words, 4]), name="rows")
    speed = tf.Variable(tf.zeros([words]), name="speed")
    tracked = tf.train.Checkpoint(rows=rows, inner=tf.train.Checkpoint(speed=speed))
    return tensorflow(tracked, place=place, every_s=0, keep=2), rows, speed


def test_restore_uses_the_newest_checkpoint_or_an_older_one_after_damage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, rows, speed = training(tmp_path)
    assert saved.restore() is None
    assert saved.due()
    for step in (1, 2, 3):
        rows.assign(tf.fill([10, 4], float(step)))
        speed.assign(tf.fill([10], -float(step)))
        assert saved.save(step, {"tokens": step * 100})
    again, rows, speed = training(tmp_path)
    found = again.restore()
    assert found is not None
    assert (found.step, found.position) == (3, {"tokens": 300})
    assert (float(rows[9, 3]), float(speed[9])) == (3.0, -3.0)

    (data,) = found.path.glob("variables.data*")
    with open(data, "r+b") as stream:
        stream.seek(20)
        stream.write(b"\xff")
    again, rows, speed = training(tmp_path)
    older = again.restore()
    assert older is not None
    assert (older.step, float(rows[0, 0]), float(speed[0])) == (2, 2.0, -2.0)
    assert f"{data.name} was changed or damaged" in capsys.readouterr().err


def test_another_models_checkpoint_is_no_silence(tmp_path: Path) -> None:
    training(tmp_path)[0].save(1)
    other = tf.train.Checkpoint(other=tf.Variable(1.0))
    with pytest.raises(AssertionError):
        tensorflow(other, place=tmp_path).restore()


def test_the_training_continues_on_a_full_disk(
    disk: SmallDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    saved, rows, _ = training(disk.path, words=50_000)
    rows.assign(tf.ones([50_000, 4]))
    assert saved.save(1)
    disk.fill(leave=100_000)
    rows.assign(tf.zeros([50_000, 4]))
    assert saved.save(2) is False
    assert "No space left on device" in capsys.readouterr().err
    assert not [name for name in os.listdir(disk.path / "training") if manifest.SAVING in name]
    found = saved.restore()
    assert found is not None
    assert (found.step, float(rows[49_999, 3])) == (1, 1.0)
    disk.empty()
    assert saved.save(3)
