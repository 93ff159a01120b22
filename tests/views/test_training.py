"""Curves from event files: both kinds of scalars, grown, cut, damaged, taken up again, too many."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views import training
from tenfold.views.curve import MOST_POINTS
from tenfold.views.training import TrainingReader
from tests.own_process import require

event_pb2 = pytest.importorskip("tensorboard.compat.proto.event_pb2")
types_pb2 = pytest.importorskip("tensorboard.compat.proto.types_pb2")
record_writer = pytest.importorskip("tensorboard.summary.writer.record_writer")

EQUAL = [1, 2, 3, 4]
"""Steps whose events are of the same length."""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that has written nothing yet."""
    return create(tmp_path, "c")


def event(
    step: int,
    tag: str = "loss",
    value: float | None = None,
    *,
    tensor: bool = False,
    late: float = 0.0,
) -> Any:
    """A scalar as TensorFlow 1 writes it, or 2 (`tensor`); its value is `step` if not said.

    Its time is 1000 + `step` + `late` seconds.
    """
    made = event_pb2.Event(wall_time=1000.0 + step + late, step=step)
    scalar = made.summary.value.add(tag=tag)
    value = float(step) if value is None else value
    if tensor:
        scalar.metadata.plugin_data.plugin_name = "scalars"
        scalar.tensor.dtype = types_pb2.DT_FLOAT
        scalar.tensor.float_val.append(value)
    else:
        scalar.simple_value = value
    return made


def write(path: Path, events: Iterable[Any]) -> Path:
    """Append events to a file, with TensorBoard's own writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        writer = record_writer.RecordWriter(stream)
        for one in events:
            writer.write(one.SerializeToString())
    return path


def file_of(run: RunDirectory, name: str = "train", number: int = 1) -> Path:
    """The path of an event file; those of a higher number are younger."""
    return run.shared("tensorboard") / name / f"events.out.tfevents.{number}.host"


def steps(shown: dict[str, Any], name: str = "train", tag: str = "loss") -> list[int]:
    """The steps of one tag."""
    (found,) = (one for one in shown["runs"] if one["name"] == name)
    return list(next(one["steps"] for one in found["tags"] if one["tag"] == tag))


@pytest.mark.parametrize("tensor", [False, True])
def test_scalars_of_both_formats_are_read(run: RunDirectory, tensor: bool) -> None:
    write(file_of(run), [event(n, tag, tensor=tensor) for n in range(3) for tag in ("loss", "b/c")])
    shown = TrainingReader(run).read()
    assert shown == {
        "version": 1,
        "runs": [
            {
                "name": "train",
                "tags": [
                    {
                        "tag": tag,
                        "steps": [0, 1, 2],
                        "values": [0.0, 1.0, 2.0],
                        "times": [1000.0, 1001.0, 1002.0],
                    }
                    for tag in ("b/c", "loss")
                ],
            }
        ],
        "missing": None,
        "damaged": {},
        "more": False,
    }


def test_runs_are_named_by_their_directories(run: RunDirectory) -> None:
    for name in (".", "train", "eval/big"):
        write(file_of(run, name), [event(1)])
    (run.shared("tensorboard") / "words").mkdir()
    (run.shared("tensorboard") / "words" / "metadata.tsv").write_text("a\nb\n")
    names = [found["name"] for found in TrainingReader(run).read()["runs"]]
    assert names == [".", "eval/big", "train"]


def test_a_run_without_event_files_has_no_curves(run: RunDirectory) -> None:
    assert TrainingReader(run).read()["runs"] == []
    run.shared("tensorboard").rmdir()
    shown = TrainingReader(run).read()
    assert (shown["runs"], shown["missing"], shown["damaged"]) == ([], None, {})


def test_only_scalars_are_curves(run: RunDirectory) -> None:
    text, histogram, vector, other = (event(1, tag, tensor=True) for tag in "thvo")
    text.summary.value[0].metadata.plugin_data.plugin_name = "text"
    histogram.summary.value[0].ClearField("tensor")
    histogram.summary.value[0].histo.num = 3
    vector.summary.value[0].tensor.tensor_shape.dim.add(size=1)
    other.summary.value[0].tensor.dtype = types_pb2.DT_STRING
    start = event_pb2.Event(wall_time=1.0, file_version="brain.Event:2")
    write(file_of(run), [start, text, histogram, vector, other, event(1)])
    shown = TrainingReader(run).read()
    assert [tag["tag"] for tag in shown["runs"][0]["tags"]] == ["loss"]
    assert shown["damaged"] == {}


def test_metadata_of_a_tag_applies_to_its_later_events(run: RunDirectory) -> None:
    """Writers tell a tag's kind in its first event only."""
    first, later = event(1, tensor=True), event(2, tensor=True)
    later.summary.value[0].ClearField("metadata")
    hidden, more = event(1, "pr", tensor=True), event(2, "pr", tensor=True)
    hidden.summary.value[0].metadata.plugin_data.plugin_name = "mine"
    more.summary.value[0].ClearField("metadata")
    write(file_of(run), [first, hidden, later, more])
    shown = TrainingReader(run).read()
    assert steps(shown) == [1, 2]
    assert len(shown["runs"][0]["tags"]) == 1


def test_a_file_that_grows_is_read_on(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    write(file_of(run), map(event, range(5)))
    reader = TrainingReader(run)
    reader.read()
    write(file_of(run), map(event, range(5, 8)))
    write(file_of(run, "eval"), [event(7)])
    parsed: list[bytes] = []
    scalars = training._Tools.scalars

    def noted(tools: Any, data: bytes, kinds: dict[str, str]) -> Any:
        parsed.append(data)
        return scalars(tools, data, kinds)

    monkeypatch.setattr(training._Tools, "scalars", noted)
    shown = reader.read()
    assert steps(shown) == list(range(8))
    assert steps(shown, "eval") == [7]
    assert len(parsed) == 4
    reader.read()
    assert len(parsed) == 4


def test_a_file_cut_at_any_byte_shows_complete_events_and_then_continues(run: RunDirectory) -> None:
    path = write(file_of(run), map(event, EQUAL))
    whole = path.read_bytes()
    length = len(whole) // len(EQUAL)
    reader = TrainingReader(run)
    with hold_lock(run):
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            for one in (reader, TrainingReader(run)):
                shown = one.read()
                assert shown["damaged"] == {}  # it is being written
                assert (steps(shown) if shown["runs"] else []) == EQUAL[: end // length]
    shown = TrainingReader(run).read()
    assert shown["damaged"] == {str(path): "ends in the middle of an event"}
    path.write_bytes(whole)
    assert steps(reader.read()) == EQUAL
    assert reader.read()["damaged"] == {}


def test_damage_is_named_and_stops_nothing_else(run: RunDirectory) -> None:
    path = write(file_of(run), map(event, EQUAL))
    whole = path.read_bytes()
    length = len(whole) // len(EQUAL)
    broken = bytearray(whole)
    broken[2 * length] ^= 1  # the third event's length
    path.write_bytes(broken)
    write(file_of(run, "eval"), [event(1)])
    reader = TrainingReader(run)
    shown = reader.read()
    assert steps(shown) == EQUAL[:2]
    assert steps(shown, "eval") == [1]
    assert shown["damaged"] == {str(path): f"is damaged from byte {2 * length} on"}
    assert reader.read() == shown


def test_an_invalid_event_is_skipped(run: RunDirectory) -> None:
    path = write(file_of(run), [event(1)])
    with path.open("ab") as stream:
        record_writer.RecordWriter(stream).write(b"\xff\xff\xff")
    write(path, [event(2)])
    shown = TrainingReader(run).read()
    assert steps(shown) == [1, 2]
    assert "damaged event" in shown["damaged"][str(path)]


def test_events_that_are_too_large_are_skipped(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenfold.views.training._LARGEST_RECORD_BYTES", 200)
    picture = event(2, "picture")
    picture.summary.value[0].image.encoded_image_string = b"p" * 1000
    write(file_of(run), [event(1), picture, event(3)])
    shown = TrainingReader(run).read()
    assert (steps(shown), shown["damaged"]) == ([1, 3], {})


def test_nonsense_pipes_and_links_are_no_event_files(run: RunDirectory, tmp_path: Path) -> None:
    home = run.shared("tensorboard")
    outside = write(tmp_path / "outside.tfevents.1", [event(1)])
    (home / "link.tfevents.1").symlink_to(outside)
    os.mkfifo(home / "pipe.tfevents.1")
    (home / "dir.tfevents.1").mkdir()
    (home / "noise.tfevents.1").write_bytes(struct.pack("<Q", 1 << 62) + b"text" * 100)
    shown = TrainingReader(run).read()
    assert shown["runs"] == []
    assert list(shown["damaged"]) == [str(home / "noise.tfevents.1")]


def test_a_file_that_is_replaced_is_read_from_its_start(run: RunDirectory) -> None:
    path = write(file_of(run), map(event, range(5)))
    reader = TrainingReader(run)
    reader.read()
    path.unlink()
    write(path, [event(2, value=9.0)])
    (curve,) = reader.read()["runs"][0]["tags"]
    assert (curve["steps"], curve["values"]) == ([0, 1, 2], [0.0, 1.0, 9.0])


def test_a_resumed_training_continues_from_its_checkpoint(run: RunDirectory) -> None:
    write(file_of(run), map(event, range(10)))
    reader = TrainingReader(run)
    reader.read()
    write(file_of(run, number=2), [event(n, value=-1.0, late=100) for n in (6, 7)])
    for one in (reader, TrainingReader(run)):
        (curve,) = one.read()["runs"][0]["tags"]
        assert curve["steps"] == list(range(8))
        assert curve["values"][-3:] == [5.0, -1.0, -1.0]


def test_ranks_that_write_to_one_directory_keep_all_their_points(run: RunDirectory) -> None:
    write(file_of(run, number=1), [event(n) for n in range(0, 70, 2)])
    write(file_of(run, number=2), [event(n) for n in range(1, 70, 2)])
    reader = TrainingReader(run)
    assert steps(reader.read()) == list(range(70))
    write(file_of(run, number=1), [event(70)])
    write(file_of(run, number=2), [event(71)])
    for one in (reader, TrainingReader(run)):
        assert steps(one.read()) == list(range(72))


def test_of_ranks_that_write_the_same_steps_each_point_is_shown(run: RunDirectory) -> None:
    for number in (1, 2):
        write(file_of(run, number=number), [event(n, value=float(number)) for n in range(3)])
    (curve,) = TrainingReader(run).read()["runs"][0]["tags"]
    assert (curve["steps"], sorted(curve["values"])) == ([0, 0, 1, 1, 2, 2], [1, 1, 1, 2, 2, 2])


def started(run: RunDirectory, *times: float, restarts: int = 0) -> None:
    """Events of tasks that were started."""
    with run.events.open("a") as stream:
        for time in times:
            told = {"time": time, "kind": "task-started", "task": "w/0", "restarts": restarts}
            stream.write(json.dumps(told) + "\n")


def test_a_rank_that_writes_after_another_does_not_replace_it(run: RunDirectory) -> None:
    started(run, 990.0, 991.0)
    write(file_of(run, number=1), map(event, range(5)))
    write(file_of(run, number=2), [event(n, late=10) for n in range(5)])
    assert steps(TrainingReader(run).read()) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_points_of_restarted_ranks_replace_the_old_ones(run: RunDirectory) -> None:
    started(run, 990.0, 991.0)
    for number in (1, 2):
        write(file_of(run, number=number), map(event, range(10)))
    started(run, 1050.0, 1051.0, restarts=1)
    for number in (3, 4):
        write(file_of(run, number=number), [event(n, late=100) for n in (6, 7)])
    found = steps(TrainingReader(run).read())
    assert found == sorted([*range(8), *range(8)])


def test_a_restarted_process_replaces_its_own_points(run: RunDirectory) -> None:
    """A cell of a notebook that is run again."""
    started(run, 990.0)
    home = run.shared("tensorboard") / "train"
    write(home / "events.out.tfevents.1000.a.host.31.0", map(event, range(5)))
    write(home / "events.out.tfevents.1100.a.host.31.1", [event(n, late=100) for n in range(3)])
    assert steps(TrainingReader(run).read()) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2000, 2001, 2002, 4001, 12_345])
def test_thinned_evenly_and_the_last_is_kept(run: RunDirectory, count: int) -> None:
    write(file_of(run), map(event, range(count)))
    found = steps(TrainingReader(run).read())
    assert len(found) <= MOST_POINTS
    assert len(found) > min(count, MOST_POINTS) * 0.9
    assert (found[0], found[-1]) == (0, count - 1)
    gaps = {later - earlier for earlier, later in itertools.pairwise(found)}
    assert max(gaps, default=1) <= 2 * math.ceil(count / MOST_POINTS)


def test_long_curves_are_thinned_out_after_a_resume(run: RunDirectory) -> None:
    write(file_of(run), map(event, range(10_000)))
    write(file_of(run, number=2), (event(n, late=20_000) for n in range(5_000, 20_000)))
    found = steps(TrainingReader(run).read())
    assert (found[0], found[-1]) == (0, 19_999)
    assert found == sorted(set(found))


def test_values_that_are_not_finite_are_null(run: RunDirectory) -> None:
    write(file_of(run), [event(n, value=v) for n, v in enumerate((1.0, math.nan, math.inf))])
    assert TrainingReader(run).read()["runs"][0]["tags"][0]["values"] == [1.0, None, None]


def test_one_read_is_bounded_and_the_next_continues(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(file_of(run), map(event, range(100)))
    monkeypatch.setattr("tenfold.views.training.READ_BYTES", path.stat().st_size // 4)
    write(file_of(run, number=2), [event(100)])
    reader = TrainingReader(run)
    shown = reader.read()
    assert shown["more"]
    assert 0 < len(steps(shown)) < 50
    while shown["more"]:
        shown = reader.read()
    assert steps(shown) == list(range(101))


def test_without_tensorboard_the_hint_names_what_to_install(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> object:
        raise ImportError("no tensorboard")

    monkeypatch.setattr("tenfold.views.training.importlib.import_module", none)
    assert TrainingReader(run).read()["missing"] is None
    write(file_of(run), [event(1)])
    shown = TrainingReader(run).read()
    assert (shown["missing"], shown["runs"]) == ("pip install 'tenfold[charts]'", [])


WRITES = """
import sys, tensorflow as tf
with tf.summary.create_file_writer(sys.argv[1]).as_default():
    for step in range(50):
        tf.summary.scalar("loss", 1.0 / (1 + step), step=step)
        tf.summary.histogram("weights", tf.random.normal([100]), step=step)
    tf.summary.text("note", "hello", step=0)
    tf.summary.image("picture", tf.zeros([1, 8, 8, 3]), step=0)
"""
READS = """
import sys
from pathlib import Path
from tenfold.run.rundir import RunDirectory
from tenfold.views.training import TrainingReader
for tag in TrainingReader(RunDirectory(Path(sys.argv[1]))).read()["runs"][0]["tags"]:
    print(tag["tag"], len(tag["steps"]), tag["values"][1], "tensorflow" in sys.modules)
"""


def test_event_files_are_read_without_tensorflow(run: RunDirectory) -> None:
    require("tensorflow")
    target = str(run.shared("tensorboard") / "train")
    command = [sys.executable, "-c"]
    subprocess.run([*command, WRITES, target], check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [*command, READS, str(run.path)], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["loss 50 0.5 False"]
