"""Reading logs: tails, moments, merging, bounded memory, and what is being written."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.run.logs import LogReader, last_lines, merged, readers, skip_to_tail
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import TaskDirectory


@pytest.fixture
def task(tmp_path: Path) -> TaskDirectory:
    """A task that has written nothing yet."""
    directory = TaskDirectory(tmp_path / "worker-0")
    directory.path.mkdir()
    return directory


def _texts(reader: LogReader, *, last: bool = False) -> list[str]:
    return [line.text for line in reader.read(last=last)]


def test_a_line_is_read_once_and_complete(task: TaskDirectory) -> None:
    reader = LogReader(task, "stdout")
    assert _texts(reader) == []
    with task.log("stdout").open("ab", buffering=0) as log:
        log.write(b"one\ntw")
        assert _texts(reader) == ["one"]
        log.write(b"o\n\nthree")
        assert _texts(reader) == ["two", ""]
        assert _texts(reader) == []
        assert _texts(reader, last=True) == ["three"]
        assert _texts(reader, last=True) == []


def test_any_bytes_are_text(task: TaskDirectory) -> None:
    task.log("stdout").write_bytes(
        b"\xff\xfe\x00\n" + "für\n".encode() + b"a\r\n10 %\r20 %\r30 %\n"
    )
    assert _texts(LogReader(task, "stdout")) == ["\ufffd\ufffd\x00", "für", "a", "30 %"]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size_give_the_same_lines(task: TaskDirectory, piece: int) -> None:
    text = "für\n\nzwei\r\nlast"
    task.log("stdout").write_text(text)
    task.times("stdout").write_text("0 1.0\n6 2.0\n")
    reader, found = LogReader(task, "stdout", piece), []
    while lines := reader.read(last=True):
        found += lines
    assert [line.text for line in found] == ["für", "", "zwei", "last"]
    assert [line.time for line in found] == [1.0, 1.0, 2.0, 2.0]


def test_a_line_without_end_is_cut(task: TaskDirectory) -> None:
    task.log("stdout").write_bytes(b"x" * (3 << 20))
    reader = LogReader(task, "stdout")
    assert len(_texts(reader)[0]) > 1 << 20
    assert sum(len(line) for line in itertools.chain(_texts(reader), _texts(reader, last=True)))


def test_an_emptied_log_is_read_from_the_start(task: TaskDirectory) -> None:
    task.log("stdout").write_text("one\ntwo\n")
    reader = LogReader(task, "stdout")
    assert _texts(reader) == ["one", "two"]
    task.log("stdout").write_text("new\n")
    assert _texts(reader) == ["new"]


@pytest.mark.parametrize("text", ["a\nb\nc\n", "a\nb\nc"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 10**9])
def test_tail_returns_the_last_lines(task: TaskDirectory, text: str, count: int) -> None:
    task.log("stderr").write_text(text)
    expected = ["a", "b", "c"][max(0, 3 - count) :]
    assert last_lines(task, count) == expected


def test_tail_takes_both_streams_by_time(task: TaskDirectory) -> None:
    task.log("stdout").write_text("a\nc\n")
    task.times("stdout").write_text("0 1.0\n2 3.0\n")
    task.log("stderr").write_text("b\nd\n")
    task.times("stderr").write_text("0 2.0\n2 4.0\n")
    assert last_lines(task, 10) == ["a", "b", "c", "d"]
    assert last_lines(task, 3) == ["b", "c", "d"]


def test_since_a_moment(task: TaskDirectory) -> None:
    task.log("stdout").write_text("a\nb\nc\n")
    task.times("stdout").write_text("0 1.0\n2 2.0\n4 3.0\n")
    for moment, expected in ((0.5, ["a", "b", "c"]), (2.0, ["b", "c"]), (2.5, ["c"]), (9.0, [])):
        reader = LogReader(task, "stdout")
        reader.seek_time(moment)
        assert _texts(reader) == expected
        reader.skip_to(0)
        assert _texts(reader) == []


@pytest.mark.parametrize("times", ["", "rubbish\n", "0 x\n0 1.0\n", "0 1.0\n2 2.", "\xff\n"])
def test_damaged_times_lose_no_line(task: TaskDirectory, times: str) -> None:
    task.log("stdout").write_text("a\nb\n")
    task.times("stdout").write_text(times)
    assert last_lines(task, 5) == ["a", "b"]


def test_merged_by_time_over_many_pieces(tmp_path: Path) -> None:
    """A quick task does not run ahead of a slow one, though each is read piece by piece."""
    slow, quick = TaskDirectory(tmp_path / "slow-0"), TaskDirectory(tmp_path / "quick-0")
    for directory, count, step in ((slow, 10, 100.0), (quick, 1000, 1.0)):
        directory.path.mkdir()
        directory.log("stdout").write_text("".join(f"{n:04d}\n" for n in range(count)))
        times = "".join(f"{5 * n} {step * n}\n" for n in range(count))
        directory.times("stdout").write_text(times)
    both = [LogReader(directory, "stdout", 50) for directory in (slow, quick)]
    found = [line.time for line in merged(both)]
    assert found == sorted(found)
    assert len(found) == 1010


def test_merging_ends_while_a_task_writes_on(task: TaskDirectory) -> None:
    task.log("stdout").write_text("a\n")
    reader = LogReader(task, "stdout", 2)
    lines = merged([reader])
    found = []
    for line in lines:
        found.append(line.text)
        with task.log("stdout").open("a") as log:
            log.write("b\n")
    assert found == ["a"]
    assert [line.text for line in merged([reader])] == ["b"]


def test_the_end_of_a_huge_log_is_near(task: TaskDirectory) -> None:
    """A gigabyte (of which the disk holds only the end) costs a few pieces of memory."""
    with task.log("stdout").open("wb") as log:
        log.seek(1 << 30)
        log.write(b"\n" + b"".join(b"line %d\n" % n for n in range(100)))
    tracemalloc.start()
    try:
        assert last_lines(task, 3) == ["line 97", "line 98", "line 99"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_many_readers_share_a_bound(tmp_path: Path) -> None:
    many = readers(TaskDirectory(tmp_path / f"worker-{n}") for n in range(4000))
    assert len(many) == 8000
    skip_to_tail(many, 5)
    assert list(merged(many, last=True)) == []


@pytest.fixture
def turning(task: TaskDirectory) -> Iterator[LogWriter]:
    """A writer whose log turns at each 20 lines."""
    writer = LogWriter(task, "stdout", 20 * len(b"line 000000\n"))
    yield writer
    writer.close()


def test_following_over_turns_loses_and_repeats_nothing(
    task: TaskDirectory, turning: LogWriter
) -> None:
    reader, found = LogReader(task, "stdout", 50), []
    for n in range(500):
        turning.write(b"line %06d\npart" % n if n % 3 else b" line %06d\n" % n, 100.0 + n)
        while n % 7 == 0 and (lines := reader.read()):
            found += lines
    text = "".join(f"line {n:06d}\npart" if n % 3 else f" line {n:06d}\n" for n in range(500))
    while lines := reader.read(last=True):
        found += lines
    assert [line.text for line in found] == text.split("\n")[: len(found)]
    assert [line.time for line in found] == sorted(line.time for line in found)


def test_an_overtaken_reader_reports_what_it_missed(
    task: TaskDirectory, turning: LogWriter
) -> None:
    reader = LogReader(task, "stdout")
    turning.write(b"line 000000\nline 0")
    assert _texts(reader) == ["line 000000"]
    turning.write(b"00001\n" + b"".join(b"line %06d\n" % n for n in range(2, 105)))
    assert _texts(reader) == ["line 0", "[tenfold: 942 bytes before this were dropped: "
                              "the log is kept to its limit]"]  # fmt: skip
    assert _texts(reader) == [f"line {n:06d}" for n in range(80, 105)]


def test_tail_and_moment_over_a_turn(task: TaskDirectory, turning: LogWriter) -> None:
    for n in range(105):
        turning.write(b"line %06d\n" % n, 100.0 + n)
    for count in (1, 5, 6, 10, 25):
        assert last_lines(task, count) == [f"line {n:06d}" for n in range(105 - count, 105)]
    assert last_lines(task, 1000) == [f"line {n:06d}" for n in range(80, 105)]
    for moment, first in ((190.5, 91), (203.5, 104), (0.0, 80)):
        reader = LogReader(task, "stdout")
        reader.seek_time(moment)
        assert _texts(reader)[0] == f"line {first:06d}"


FLOOD = """
import sys
from pathlib import Path
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import TaskDirectory
writer = LogWriter(TaskDirectory(Path(sys.argv[1])), "stdout", 20_000)
for n in range(200_000):
    writer.write(b"line %06d\\n" % n)
"""


def test_a_reader_keeps_up_with_another_process_that_turns(task: TaskDirectory) -> None:
    """Read at every moment of the renames: offsets and lines are right all the same."""
    reader, found = LogReader(task, "stdout"), []
    with subprocess.Popen([sys.executable, "-c", FLOOD, str(task.path)]) as writer:
        while writer.poll() is None:
            found += reader.read()
    while lines := reader.read():
        found += lines
    texts = [line.text for line in found]
    numbers = [int(text.split()[1]) for text in texts if text.startswith("line ")]
    marks = [int(text.split()[1].replace(",", "")) for text in texts if "dropped" in text]
    torn = [text for text in texts if not re.fullmatch(r"line \d{6}|\[tenfold: .*\]", text)]
    assert numbers == sorted(set(numbers))
    assert len(torn) <= len(marks)
    missed = sum(marks) + sum(len(text) for text in torn)
    assert 12 * len(numbers) + missed == 12 * 200_000


def test_a_moment_within_a_line_begins_with_the_next(task: TaskDirectory) -> None:
    task.log("stdout").write_text("half of it\nwhole\n")
    task.times("stdout").write_text("0 1.0\n5 2.0\n")
    reader = LogReader(task, "stdout")
    reader.seek_time(1.5)
    assert _texts(reader) == ["whole"]


def test_backward_gives_the_lines_that_forward_does(task: TaskDirectory) -> None:
    task.log("stdout").write_text("für\n\n10 %\r20 %\nlast")
    task.times("stdout").write_text("0 1.0\n6 2.0\n")
    forward = LogReader(task, "stdout", 3)
    backward = LogReader(task, "stdout", 3)
    lines = list(forward.lines(last=True))
    assert list(backward.back(backward.size()))[::-1] == lines
    assert [(line.start, line.end) for line in lines] == [(0, 5), (5, 6), (6, 16), (16, 20)]


def test_a_tail_begins_after_what_was_skipped(task: TaskDirectory) -> None:
    task.log("stdout").write_text("a\nb\nc\n")
    task.times("stdout").write_text("0 1.0\n2 2.0\n4 3.0\n")
    reader = LogReader(task, "stdout")
    reader.seek_time(2.0)
    skip_to_tail([reader], 5)
    assert _texts(reader) == ["b", "c"]
