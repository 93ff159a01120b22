"""Pages of logs: the end at once, back and on without a line lost or twice, filters, damage."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import InputError
from tenfold.run.logs.filter import line_filter
from tenfold.run.logs.times import LogTimes
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views import logpages
from tenfold.views.logpages import LogPageQuery, page
from tenfold.views.openlines import MOST_OPEN

TASKS = ("worker-0", "worker-1")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that is over, with two tasks that wrote nothing yet."""
    made = create(tmp_path.resolve(), "c")
    for label in TASKS:
        made.task(label).path.mkdir()
    return made


def _write(run: RunDirectory, label: str, data: bytes, time: float, stream: str = "stdout") -> None:
    directory = run.task(label)
    with directory.log(stream).open("ab") as log, directory.times(stream).open("ab") as times:
        times.write(b"%d %.3f\n" % (log.tell(), time))
        log.write(data)


def _texts(answer: dict[str, Any]) -> list[str]:
    return [line["text"] for line in answer["lines"]]


def _turns(run: RunDirectory, count: int) -> list[str]:
    """Lines that two tasks wrote in turns, on both streams."""
    said = []
    for n in range(count):
        stream = "stderr" if n % 3 == 0 else "stdout"
        _write(run, TASKS[n % 2], b"line %d\n" % n, 100.0 + n, stream)
        said.append(f"line {n}")
    return said


def test_the_newest_page_is_the_end_in_order(run: RunDirectory) -> None:
    said = _turns(run, 30)
    answer = page(run, LogPageQuery(TASKS, lines=10))
    assert _texts(answer) == said[-10:]
    assert answer["more"]
    assert answer["lines"][-1] == {
        "time": 129.0, "task": "worker/1", "stream": "stdout", "text": "line 29",
    }  # fmt: skip


@pytest.mark.parametrize("lines", [1, 7, 30, 1000])
def test_going_back_gives_every_line_once(run: RunDirectory, lines: int) -> None:
    said = _turns(run, 30)
    answer = page(run, LogPageQuery(TASKS, lines=lines))
    found = _texts(answer)
    while answer["more"]:
        answer = page(run, LogPageQuery(TASKS, cursor=answer["start"], lines=lines))
        found = _texts(answer) + found
    assert found == said


@pytest.mark.parametrize("lines", [1, 7, 1000])
def test_reading_forward_gives_every_line_once(run: RunDirectory, lines: int) -> None:
    said = _turns(run, 30)
    answer = page(run, LogPageQuery(TASKS, at=0.0, direction="on", lines=lines))
    found = _texts(answer)
    while answer["more"]:
        answer = page(run, LogPageQuery(TASKS, cursor=answer["end"], direction="on", lines=lines))
        found += _texts(answer)
    assert found == said


def test_the_end_is_where_following_begins(run: RunDirectory) -> None:
    _turns(run, 4)
    answer = page(run, LogPageQuery(TASKS))
    _write(run, "worker-0", b"new\n", 200.0)
    on = page(run, LogPageQuery(TASKS, cursor=answer["end"], direction="on"))
    assert _texts(on) == ["new"]
    assert not on["more"]


def test_a_page_starts_at_a_time_and_continues_backwards(run: RunDirectory) -> None:
    said = _turns(run, 30)
    answer = page(run, LogPageQuery(TASKS, at=110.0, direction="on", lines=5))
    assert _texts(answer) == said[10:15]
    before = page(run, LogPageQuery(TASKS, cursor=answer["start"], lines=5))
    assert _texts(before) == said[5:10]


def test_a_moment_within_a_line_begins_with_the_next(run: RunDirectory) -> None:
    _write(run, "worker-0", b"half ", 10.0)
    _write(run, "worker-0", b"of it\nwhole\n", 20.0)
    assert _texts(page(run, LogPageQuery(TASKS, at=15.0, direction="on"))) == ["whole"]
    assert _texts(page(run, LogPageQuery(TASKS, at=99.0, direction="on"))) == []


def test_a_line_being_written_is_left_until_it_ends_or_the_run_does(run: RunDirectory) -> None:
    _write(run, "worker-0", b"whole\npart", 10.0)
    with hold_lock(run):
        answer = page(run, LogPageQuery(TASKS))
        assert _texts(answer) == ["whole"]
        following = LogPageQuery(TASKS, cursor=answer["end"], direction="on")
        assert _texts(page(run, following)) == []
    assert _texts(page(run, following)) == ["part"]
    assert _texts(page(run, LogPageQuery(TASKS))) == ["whole", "part"]


def test_a_log_without_an_end_of_line(run: RunDirectory) -> None:
    _write(run, "worker-0", b"x" * (3 << 20), 10.0)
    found, cursor = 0, None
    for _ in range(10):
        answer = page(run, LogPageQuery(TASKS, cursor=cursor, lines=1))
        found, cursor = found + len(answer["lines"]), answer["start"]
        if not answer["more"]:
            break
    assert found >= 2
    assert not answer["more"]


def test_empty_lines_colours_and_carriage_returns(run: RunDirectory) -> None:
    _write(run, "worker-0", b"\n\x1b[31mred\x1b[0m\x07\n 10%\r 20%\r\n\xff\n", 10.0)
    assert _texts(page(run, LogPageQuery(TASKS))) == ["", "red", " 20%", "\ufffd"]


def test_a_long_line_is_shortened_with_a_mark(run: RunDirectory) -> None:
    _write(run, "worker-0", b"y" * 20_000 + b"\n", 10.0)
    (text,) = _texts(page(run, LogPageQuery(TASKS)))
    assert len(text) < 11_000
    assert text.endswith("… (20,000 bytes)")


def test_streams_and_tasks_that_are_not_wanted(run: RunDirectory) -> None:
    _turns(run, 12)
    assert len(_texts(page(run, LogPageQuery(("worker-0",))))) == 6
    assert _texts(page(run, LogPageQuery(TASKS, ("stderr",)))) == [
        "line 0",
        "line 3",
        "line 6",
        "line 9",
    ]
    assert _texts(page(run, LogPageQuery(("nobody-0", "../x", "a\0b")))) == []


@pytest.mark.parametrize(("limit", "value"), [("SCAN_BYTES", 100), ("SCAN_S", -1.0)])
def test_a_filter_scans_a_bounded_amount_and_continues_from_there(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(logpages, limit, value)
    _turns(run, 60)
    wanted = LogPageQuery(TASKS, passes=line_filter("LINE 3"))
    answer = page(run, wanted)
    found, pages = _texts(answer), 1
    while answer["more"]:
        answer = page(run, LogPageQuery(TASKS, cursor=answer["start"], passes=wanted.passes))
        found, pages = _texts(answer) + found, pages + 1
    assert found == ["line 3", *(f"line {n}" for n in range(30, 40))]
    assert pages > 3


@pytest.mark.parametrize(
    "cursor", ["", "x", "[]", "{}", '["", {}]', "[" * 100_000, "\ud800", '[1, {"worker-0 o": -1}]']
)
def test_a_cursor_of_something_else_is_refused(run: RunDirectory, cursor: str) -> None:
    _turns(run, 4)
    with pytest.raises(InputError, match="cursor"):
        page(run, LogPageQuery(TASKS, cursor=cursor))


def test_a_cursor_is_of_these_tasks_and_streams(run: RunDirectory) -> None:
    _turns(run, 4)
    cursor = page(run, LogPageQuery(TASKS))["start"]
    assert page(run, LogPageQuery(TASKS[::-1], cursor=cursor))["lines"] == []
    for other in (LogPageQuery((), cursor=cursor), LogPageQuery(TASKS, ("stderr",), cursor=cursor)):
        with pytest.raises(InputError, match="cursor"):
            page(run, other)
    with pytest.raises(InputError, match="cursor"):
        page(run, LogPageQuery(TASKS, cursor=cursor.replace("{}", '{"worker-0 o": -5}')))


def test_a_task_that_began_later_is_followed_from_its_start(run: RunDirectory) -> None:
    _turns(run, 4)
    end = page(run, LogPageQuery())["end"]
    run.task("late-0").path.mkdir()
    _write(run, "late-0", b"first\n", 300.0)
    assert _texts(page(run, LogPageQuery(cursor=end, direction="on"))) == ["first"]


def test_names_labels_and_jobs(run: RunDirectory) -> None:
    assert logpages.chosen_labels(run, ()) == list(TASKS)
    assert logpages.chosen_labels(run, ["worker"]) == list(TASKS)
    assert logpages.chosen_labels(run, ["worker/1", "ps"]) == ["worker-1"]
    assert logpages.chosen_labels(run, ["work", "../worker-0", ""]) == []


def test_a_log_that_was_emptied(run: RunDirectory) -> None:
    _turns(run, 30)
    answer = page(run, LogPageQuery(TASKS, lines=5))
    for label in TASKS:
        run.task(label).log("stdout").write_bytes(b"")
    assert page(run, LogPageQuery(TASKS, cursor=answer["start"]))["lines"]
    assert page(run, LogPageQuery(TASKS, cursor=answer["end"], direction="on"))["lines"] == []


def test_times_that_are_damaged_or_missing(run: RunDirectory) -> None:
    said = _turns(run, 10)
    run.task("worker-0").times("stdout").unlink()
    run.task("worker-1").times("stdout").write_bytes(b"\x00 nan\n1 inf\n\n5")
    assert sorted(_texts(page(run, LogPageQuery(TASKS)))) == said


def test_links_are_not_followed(run: RunDirectory, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "stdout.log").write_text("secret\n")
    run.task("worker-0").log("stdout").symlink_to(secret / "stdout.log")
    (run.path / "tasks" / "worker-2").symlink_to(secret)
    assert page(run, LogPageQuery(("worker-0", "worker-2")))["lines"] == []
    assert logpages.log_of(run, "worker-2", "stdout") is None
    assert logpages.log_of(run, "worker-0", "token") is None


def test_the_end_of_a_huge_log_costs_little(run: RunDirectory) -> None:
    directory = run.task("worker-0")
    with directory.log("stdout").open("wb") as log, directory.times("stdout").open("wb") as times:
        for n in range(200):
            times.write(b"".join(b"%d %d\n" % (n * 1_000_000 + k * 100, n) for k in range(1000)))
        log.truncate(1 << 30)
        log.seek(1 << 30)
        log.write(b"\nthe end\n")
    tracemalloc.start()
    answer = page(run, LogPageQuery(TASKS, lines=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert _texts(answer) == ["the end"]
    assert peak < 20 << 20


def test_times_of_a_long_log(tmp_path: Path) -> None:
    path = tmp_path / "stdout.times"
    path.write_bytes(b"".join(b"%d %d.5\n" % (n * 10, n) for n in range(50_000)))
    times = LogTimes(path)
    for n in (0, 1, 49_999, 25_000, 24_000, 3, 49_998, 12_345):
        assert times.of(n * 10 + 9) == n + 0.5
        assert times.first_since(n + 0.4) == n * 10
    assert times.of(10**9) == 49_999.5
    assert times.first_since(1e9) is None
    assert LogTimes(tmp_path / "nothing").of(5) == 0.0


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("E0000 00:00 grpc failed", "error"),
        ("ValueError: no", "error"),
        ('  File "x.py", line 3', "error"),
        ("UserWarning: hm", "warning"),
        ("W0000 00:00 slow", "warning"),
        ("step 3 loss 0.5, errorless", ""),
        ("finance", ""),
    ],
)
def test_the_level_of_a_line_is_recognized(line: str, level: str) -> None:
    error, warning = line_filter(level="error"), line_filter(level="warning")
    assert error is not None
    assert warning is not None
    assert (error(line), warning(line)) == (level == "error", level != "")


def test_texts_and_expressions() -> None:
    assert line_filter() is None
    both = line_filter("a.c", level="error")
    assert both is not None
    assert both("Error A.C")
    assert not both("Error abc")
    assert not both("a.c")
    expression = line_filter("^a.c", regex=True)
    assert expression is not None
    assert expression("abcd")
    assert not expression("xabc")
    with pytest.raises(InputError, match="regular expression"):
        line_filter("(", regex=True)


@pytest.fixture
def turned(run: RunDirectory) -> Iterator[LogWriter]:
    """The writer of a log that turns at each 20 lines, which has 105: the last 25 are there."""
    writer = LogWriter(run.task("worker-0"), "stdout", 20 * len(b"line 000000\n"))
    for n in range(105):
        writer.write(b"line %06d\n" % n, 100.0 + n)
    yield writer
    writer.close()


_LEFT = [f"line {n:06d}" for n in range(80, 105)]
_MARK = "[tenfold: 960 bytes before this were dropped: the log is kept to its limit]"


@pytest.mark.parametrize("lines", [4, 7, 1000])
def test_reading_backwards_over_a_rotation_ends_at_dropped_lines(
    run: RunDirectory, turned: LogWriter, lines: int
) -> None:
    del turned
    answer = page(run, LogPageQuery(TASKS, lines=lines))
    found = _texts(answer)
    times = [line["time"] for line in answer["lines"]]
    while answer["more"]:
        answer = page(run, LogPageQuery(TASKS, cursor=answer["start"], lines=lines))
        found = _texts(answer) + found
        times = [line["time"] for line in answer["lines"]] + times
    assert found == [_MARK, *_LEFT]
    assert times == [180.0, *(float(n) for n in range(180, 205))]


@pytest.mark.parametrize("lines", [1, 7, 1000])
def test_reading_forward_from_a_dropped_position_marks_the_gap(
    run: RunDirectory, turned: LogWriter, lines: int
) -> None:
    answer = page(run, LogPageQuery(TASKS, direction="on", lines=1, at=104.5))
    cursor = answer["end"]
    assert _texts(answer) == [_LEFT[0]]
    for n in range(105, 150):
        turned.write(b"line %06d\n" % n, 100.0 + n)
    found: list[str] = []
    more = True
    while more:
        answer = page(run, LogPageQuery(TASKS, cursor=cursor, direction="on", lines=lines))
        found, cursor, more = found + _texts(answer), answer["end"], answer["more"]
    (mark,) = (text for text in found if "dropped" in text)
    assert found == [mark, *(f"line {n:06d}" for n in range(120, 150))]
    assert mark.startswith(f"[tenfold: {12 * (120 - 81):,} bytes")


def test_a_download_is_both_files(run: RunDirectory, turned: LogWriter) -> None:
    del turned
    files = logpages.log_of(run, "worker-0", "stdout")
    assert files is not None
    descriptors = files.open()
    whole = b"".join(os.pread(descriptor, 1 << 20, 0) for descriptor in descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    assert whole.decode().splitlines() == _LEFT


@pytest.fixture
def alive(run: RunDirectory) -> Iterator[RunDirectory]:
    """The run, with a supervisor that holds its lock."""
    with hold_lock(run):
        yield run


def test_the_newest_text_of_bars_is_told_beside_the_lines(alive: RunDirectory) -> None:
    log = alive.task(TASKS[0]).log("stderr")
    with log.open("ab") as stream:
        stream.write(b"before\n\r 10%\x1b[2J\r 20%\x1b[2J")
    first = page(alive, LogPageQuery((TASKS[0],), ("stderr",)))
    assert first["lines"][-1]["text"] == "before"
    assert [line["text"] for line in first["open"]] == [" 20%"]
    with log.open("ab") as stream:
        stream.write(b"\r 30%")
    query = LogPageQuery((TASKS[0],), ("stderr",), cursor=first["end"], direction="on")
    second = page(alive, query)
    assert (second["lines"], [line["text"] for line in second["open"]]) == ([], [" 30%"])
    with log.open("ab") as stream:
        stream.write(b"\r100%\nafter\n")
    third = page(alive, query)
    assert [line["text"] for line in third["lines"]] == ["100%", "after"]
    assert third["open"] == []


def test_a_bar_of_megabytes_is_not_read_again_by_every_page(alive: RunDirectory) -> None:
    log = alive.task(TASKS[0]).log("stderr")
    query = LogPageQuery((TASKS[0],), ("stderr",))
    answer = page(alive, query)
    with log.open("ab") as stream:
        for n in range(100_000):
            stream.write(b"\r%9d of many" % n)
    for _ in range(2):
        query = LogPageQuery((TASKS[0],), ("stderr",), cursor=answer["end"], direction="on")
        answer = page(alive, query)
    place = json.loads(answer["end"])[1][f"{TASKS[0]} e"]
    assert log.stat().st_size - place < 1 << 13
    assert [line["text"] for line in answer["open"]] == ["    99999 of many"]


def test_few_bars_are_told_of_many_tasks(tmp_path: Path) -> None:
    run = create(tmp_path, "many")
    for n in range(40):
        directory = run.task(f"worker-{n}")
        directory.path.mkdir()
        directory.log("stderr").write_bytes(b"\r 10%")
    with hold_lock(run):
        answer = page(run, LogPageQuery())
    assert len(answer["open"]) == MOST_OPEN
    assert answer["open_more"] == 40 - MOST_OPEN
