"""The log's writer: the limit, and the disk that is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.debug.broken import ended_by
from tenfold.run.logs import LogReader
from tenfold.run.logs.files import look
from tenfold.run.logs.writer import HELD_BYTES, LogWriter, room
from tenfold.run.rundir import TaskDirectory
from tests.disks import fill, small_disk


@pytest.fixture
def task(tmp_path: Path) -> TaskDirectory:
    """A task that has written nothing yet."""
    directory = TaskDirectory(tmp_path / "worker-0")
    directory.path.mkdir()
    return directory


def _whole(task: TaskDirectory) -> bytes:
    files = look(task, "stdout")
    return files.read(files.dropped, files.end - files.dropped)


def _lines(first: int, last: int) -> bytes:
    return b"".join(b"line %06d\n" % n for n in range(first, last))


@pytest.mark.parametrize(
    ("size", "limit", "data", "taken"),
    [
        (0, 10, b"short\n", 6),
        (0, 10, b"123456789\nmore\n", 10),
        (0, 10, b"1234567890\nmore\n", 11),
        (12, 10, b"the rest\nmore\n", 9),
        (0, 10, b"no end in sight", 15),
        (10, 10, b"", 0),
    ],
)
def test_a_log_is_rotated_at_the_end_of_a_line(
    size: int, limit: int, data: bytes, taken: int
) -> None:
    assert room(size, limit, data) == taken


def test_a_line_that_is_too_long_is_cut() -> None:
    assert room(0, 10, b"x" * (3 << 20)) == 10 + (1 << 20)
    assert room(10 + (1 << 20), 10, b"x\n") == 0


@pytest.mark.parametrize("chunk", [7, 900, 5000, 1 << 20])
def test_the_last_bytes_up_to_the_limit_are_always_there(task: TaskDirectory, chunk: int) -> None:
    said, limit = _lines(0, 2000), 3000
    writer = LogWriter(task, "stdout", limit)
    for start in range(0, len(said), chunk):
        writer.write(said[start : start + chunk])
        there, done = _whole(task), said[: start + chunk]
        assert done.endswith(there)
        assert len(there) >= min(limit, len(done))
        assert len(there) < 3 * limit
        assert look(task, "stdout").end == len(done)
    writer.close()
    assert _whole(task).startswith(b"line ")  # it was cut where a line ends
    assert {path.name for path in task.path.iterdir()} == {
        "stdout.log", "stdout.log.1", "stdout.times", "stdout.times.1",
    }  # fmt: skip


def test_a_ten_megabyte_line_and_binary_are_kept_over_the_limit(task: TaskDirectory) -> None:
    said = bytes(range(256)) * 100 + b"x" * 10_000_000 + b"\nlast words"
    writer = LogWriter(task, "stdout", 6 << 20)
    for start in range(0, len(said), 1 << 20):
        writer.write(said[start : start + (1 << 20)])
    writer.close()
    assert look(task, "stdout").turn > 0
    assert _whole(task) == said


def test_the_next_writer_continues_and_keeps_the_offset(task: TaskDirectory) -> None:
    for life in range(8):
        writer = LogWriter(task, "stdout", 500)
        writer.write(_lines(life * 20, life * 20 + 20), 1000.0 + life)
        writer.close()
    files = look(task, "stdout")
    assert files.end == len(_lines(0, 160))
    assert files.dropped > 0
    reader = LogReader(task, "stdout")
    (mark,), lines = reader.read(), reader.read()
    assert mark.text.startswith(f"[tenfold: {files.dropped:,} bytes before this were dropped")
    assert lines[-1].text == "line 000159"
    assert [line.time for line in lines][-20:] == [1007.0] * 20


@pytest.mark.parametrize("done", [1, 2, 3])
def test_an_interrupted_rotation_is_completed(task: TaskDirectory, done: int) -> None:
    """Killed after the first, second or third step of four."""
    writer = LogWriter(task, "stdout", 500)
    writer.write(_lines(0, 95))
    writer.close()
    before = look(task, "stdout")
    assert before.dropped > 0
    task.times("stdout").replace(task.older_times("stdout"))
    if done > 1:
        task.log("stdout").replace(task.older_log("stdout"))
    if done > 2:
        task.times("stdout").touch()
    writer = LogWriter(task, "stdout", 500)
    writer.write(b"after\n")
    writer.close()
    files = look(task, "stdout")
    assert files.end == before.end + 6
    assert _whole(task) == _lines(0, 95)[before.turn :] + b"after\n"


def test_a_log_that_cannot_be_rotated_continues(task: TaskDirectory) -> None:
    task.older_log("stdout").mkdir()  # nothing is renamed to where a directory is
    writer = LogWriter(task, "stdout", 500)
    writer.write(_lines(0, 200))
    writer.close()
    assert task.log("stdout").read_bytes() == _lines(0, 200)


def test_a_full_disk_is_reported_once_and_lost_output_is_marked_in_the_log(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        task = TaskDirectory(disk / "worker-0")
        task.path.mkdir()
        heard: list[int | None] = []
        writer = LogWriter(task, "stdout", 1 << 30, heard.append)
        writer.write(_lines(0, 10))
        filler = fill(disk)
        for n in range(100):
            writer.write(_lines(10 + n * 1000, 1010 + n * 1000))
        assert heard == [None]
        assert writer.waits
        filler.unlink()
        writer.close()
        (lost,) = heard[1:]
        assert lost is not None
        assert lost == writer.lost_bytes
        text = task.log("stdout").read_text()
        before, _, after = text.partition(f"[tenfold: {lost:,} bytes lost: the disk was full]\n")
        *whole, cut = before.splitlines()
        assert f"line {len(whole):06d}".startswith(cut)
        assert whole == _lines(0, len(whole)).decode().splitlines()
        assert len(after) > HELD_BYTES / 2
        assert after == _lines(0, 100_010).decode()[-len(after) :]
        assert after.startswith("line ")


def test_output_during_a_short_lack_of_space_is_not_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        task = TaskDirectory(disk / "worker-0")
        task.path.mkdir()
        heard: list[int | None] = []
        writer = LogWriter(task, "stdout", 1 << 30, heard.append)
        filler = fill(disk)
        writer.write(_lines(0, 1000))
        assert writer.waits
        filler.unlink()
        writer.close()
        assert task.log("stdout").read_bytes() == _lines(0, 1000)
        assert heard == [None, 0]


def test_a_writer_that_ends_on_a_full_disk_reports_the_lost_bytes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        task = TaskDirectory(disk / "worker-0")
        task.path.mkdir()
        heard: list[int | None] = []
        writer = LogWriter(task, "stdout", 1 << 30, heard.append)
        fill(disk)
        writer.write(b"x" * 1000)
        writer.close()
        assert heard == [None, 1000]


def test_a_cut_line_of_times_is_ended_first(task: TaskDirectory) -> None:
    task.log("stdout").write_bytes(b"a\n")
    task.times("stdout").write_bytes(b"0 1.0\n2 17")
    writer = LogWriter(task, "stdout", 1 << 30)
    writer.write(b"b\n", 5.0)
    writer.close()
    assert task.times("stdout").read_bytes() == b"0 1.0\n2 17\n2 5.000\n"


def test_the_last_exception_is_kept_until_the_task_restarts(
    task: TaskDirectory,
) -> None:
    first = LogWriter(task, "stderr", 1000)
    first.write(b'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    g()\n')
    first.write(b"ValueError: bad\n" + b"later\n" * 10_000)
    assert ended_by(task) is None
    first.close()
    found = ended_by(task)
    assert found is not None
    assert (found.line, found.frame and found.frame.line) == ("ValueError: bad", 3)
    LogWriter(task, "stderr", 1000).close()
    assert ended_by(task) is None
