"""Scalars in event files that are no finite numbers, as their writers write them."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.bringup.api import up
from tenfold.supervise.scalars import ScalarWatch, scalars
from tenfold.views.why import account
from tests.plans import plan_of, shell

Event = pytest.importorskip("tensorboard.compat.proto.event_pb2").Event
RecordWriter = pytest.importorskip("tensorboard.summary.writer.record_writer").RecordWriter


def _event(step: int, **values: float) -> Any:
    event = Event(wall_time=1.0, step=step)
    for tag, value in values.items():
        event.summary.value.add(tag=tag, simple_value=value)
    return event


def _write(directory: Path, *events: Any, writer: str = "1") -> Path:
    """Append events to the file of one writer."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"events.out.tfevents.{writer}.host"
    with path.open("ab") as stream:
        records = RecordWriter(stream)
        for event in events:
            records.write(event.SerializeToString())
    return path


def _tensor(data_type: int, **content: Any) -> Any:
    event = Event(step=7)
    value = event.summary.value.add(tag="loss")
    value.tensor.dtype = data_type
    value.tensor.tensor_shape.SetInParent()
    for name, what in content.items():
        if isinstance(what, bytes):
            setattr(value.tensor, name, what)
        else:
            getattr(value.tensor, name).extend(what)
    return event


@pytest.mark.parametrize(
    "event",
    [
        _tensor(1, float_val=[math.nan]),
        _tensor(2, double_val=[math.nan]),
        _tensor(1, tensor_content=b"\0\0\xc0\x7f"),
        _tensor(19, tensor_content=b"\0\x7e"),
        _tensor(19, half_val=[0x7E00]),
        _tensor(14, half_val=[0x7FC0]),
        _tensor(14, tensor_content=b"\xc0\x7f"),
        _event(7, loss=math.nan),
    ],
)
def test_every_form_of_a_scalar_is_read(event: Any) -> None:
    ((tag, step, value),) = scalars(event.SerializeToString())
    assert (tag, step) == ("loss", 7)
    assert math.isnan(value)


def test_values_that_are_no_scalars_are_skipped() -> None:
    histogram = _tensor(2, double_val=[math.nan] * 6)
    histogram.summary.value[0].tensor.tensor_shape.dim.add(size=6)
    text = Event(step=1)
    text.summary.value.add(tag="text").tensor.string_val.append(b"nan")
    picture = Event(step=1)
    picture.summary.value.add(tag="picture").image.encoded_image_string = b"nan"
    for event in (histogram, text, picture, Event(file_version="brain.Event:2")):
        assert list(scalars(event.SerializeToString())) == []


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_damaged_events_raise_nothing_unexpected(data: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError, struct.error):
        list(scalars(data))


def test_the_first_step_counts_and_the_step_that_is_finite_again(tmp_path: Path) -> None:
    home = tmp_path / "tensorboard"
    odd = (
        _event(n, loss=math.inf if n >= 3 else 1.0, lr=math.nan if n == 1 else 1.0)
        for n in range(9)
    )
    _write(home / "train", *odd)
    found = {one.tag: one for one in ScalarWatch(tmp_path, home).look()}
    assert (found["loss"].since, found["loss"].until, found["loss"].value) == (3, None, "inf")
    assert (found["lr"].since, found["lr"].until, found["lr"].value) == (1, 2, "nan")
    assert found["loss"].directory == "tensorboard/train"


def test_later_events_are_read_by_the_next_check(tmp_path: Path) -> None:
    watch = ScalarWatch(tmp_path, tmp_path / "tensorboard")
    assert watch.look() == []
    _write(tmp_path / "tensorboard", _event(1, loss=1.0))
    assert watch.look() == []
    _write(tmp_path / "tensorboard", _event(2, loss=math.nan))
    assert [one.since for one in watch.look()] == [2]


def test_a_restarted_writer_replaces_the_previous_one(tmp_path: Path) -> None:
    home = tmp_path / "tensorboard"
    watch = ScalarWatch(tmp_path, home)
    _write(home, _event(5, loss=math.nan), writer="1")
    assert [one.since for one in watch.look()] == [5]
    _write(home, _event(3, loss=1.0), writer="2")
    assert watch.look() == []


def test_ranks_that_write_to_one_directory_do_not_hide_each_other(tmp_path: Path) -> None:
    home = tmp_path / "tensorboard"
    _write(home, _event(1, loss=1.0), _event(2, loss=math.nan), writer="1")
    _write(home, _event(1, loss=1.0), _event(2, loss=1.0), writer="2")
    assert [one.since for one in ScalarWatch(tmp_path, home).look()] == [2]


@pytest.mark.parametrize("damage", ["cut", "garbage", "pipe", "link", "length"])
def test_damaged_files_neither_block_nor_raise(tmp_path: Path, damage: str) -> None:
    home = tmp_path / "tensorboard"
    path = _write(home, _event(1, loss=math.nan))
    data = path.read_bytes()
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    else:
        length = b"\xff" * 8 + data[8:]
        path.write_bytes({"cut": data[:-9], "garbage": os.urandom(4096), "length": length}[damage])
    assert ScalarWatch(tmp_path, home).look() == []


TRAIN = """
import math, os, pathlib
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter
home = pathlib.Path(os.environ["TENFOLD_RUN_DIRECTORY"], "tensorboard", "fit")
home.mkdir(parents=True)
with open(home / "events.out.tfevents.1.host", "wb") as stream:
    for step in range(30):
        event = Event(step=step)
        event.summary.value.add(tag="loss", simple_value=math.nan if step >= 12 else 1.0)
        RecordWriter(stream).write(event.SerializeToString())
"""


def test_a_loss_that_is_only_in_event_files_is_checked(runs: Path) -> None:
    script = runs.with_name("train.py")
    script.write_text(TRAIN)
    run = up(plan_of(shell("chief", f"exec '{sys.executable}' {script}")), runs=runs)
    assert run.wait(60)["state"] == "succeeded"
    told = account(run.directory).to_json()
    assert "loss is not finite (nan) since step 12 of tensorboard/fit" in told["headline"]
    assert [one["kind"] for one in told["troubles"]] == ["not-finite"], told["troubles"]
