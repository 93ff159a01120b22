"""Files where tasks can write, too: nothing there is followed, waited for, or read without end."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from tenfold.run import files
from tenfold.run.appending import append, open_to_append
from tenfold.run.eventlog import EventLog, read_events
from tenfold.run.jsonfiles import Problems, read_json, write_json
from tenfold.run.logs import last_lines, merged, readers
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.traffic.samples import SampleLog, UsageSample, all_samples
from tests.damages import TERABYTE

WRITERS = ("status.json", "events.jsonl", "stdout.log", "usage.jsonl", "supervisor.lock", "token")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = create(tmp_path / "runs", "demo")
    made.task("worker-0").path.mkdir()
    return made


def _place(run: RunDirectory, name: str) -> Path:
    inside = name in ("stdout.log", "usage.jsonl", "token")
    return (run.task("worker-0").path if inside else run.path) / name


def _write(run: RunDirectory, name: str) -> None:
    """As the writer of that file does it."""
    match name:
        case "events.jsonl":
            EventLog(run.events).write("one")
        case "stdout.log":
            LogWriter(run.task("worker-0"), "stdout", 1000).write(b"line\n")
        case "usage.jsonl":
            SampleLog(run.task("worker-0").usage).write(UsageSample(5.0))
        case "supervisor.lock":
            hold_lock(run).close()
        case _:
            write_json(_place(run, name), {"a": 1})


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("what", ["link", "dangling", "hard link", "fifo", "socket", "directory"])
def test_a_writer_never_writes_through_a_foreign_file(
    run: RunDirectory, tmp_path: Path, name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, outside = _place(run, name), tmp_path / "outside"
    outside.write_text("precious")
    match what:
        case "link":
            path.symlink_to(outside)
        case "dangling":
            path.symlink_to(tmp_path / "new")
        case "hard link":
            os.link(outside, path)
        case "fifo":
            os.mkfifo(path)
        case "socket":
            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        case "directory":
            path.mkdir()
    _write(run, name)
    assert outside.read_text() == "precious"
    assert not (tmp_path / "new").exists()
    found = path.lstat()
    assert stat.S_ISREG(found.st_mode)
    assert found.st_nlink == 1


def test_a_log_names_the_file_that_was_renamed_for_it(run: RunDirectory, tmp_path: Path) -> None:
    task = run.task("worker-0")
    task.log("stdout").symlink_to(tmp_path / "outside")
    writer = LogWriter(task, "stdout", 1000)
    writer.write(b"line\n")
    writer.close()
    said, line = last_lines(task, 2)
    assert "renamed to stdout.log.damaged-1" in said
    assert line == "line"
    assert (task.path / "stdout.log.damaged-1").is_symlink()


@pytest.mark.parametrize("place", ["tasks", "tasks/worker-0"])
def test_a_link_that_replaces_a_directory_is_not_followed(
    run: RunDirectory, tmp_path: Path, place: str
) -> None:
    write_json(run.task("worker-0").status, {"state": "running"})
    outside = tmp_path / "outside"
    (run.path / place).rename(outside)
    (run.path / place).symlink_to(outside)
    problems = Problems()
    assert read_json(run.task("worker-0").status, problems) is None
    assert problems.found
    assert run.tasks() == []
    for write in (_write, lambda run, name: files.touch(_place(run, name))):
        with pytest.raises(OSError, match=r"irectory|link"):
            write(run, "token")
    assert not list(outside.rglob("token"))
    files.make_directory(run.path / place)
    assert not (run.path / place).is_symlink()
    assert (run.path / f"{place}.damaged-1").is_symlink()


def test_a_link_above_the_run_directory_is_followed(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "tasks").symlink_to(tmp_path / "runs")
    linked = RunDirectory(tmp_path / "tasks" / run.cluster / run.run)
    write_json(linked.task("worker-0").status, {"state": "running"})
    assert read_json(run.task("worker-0").status) == {"state": "running"}


def test_a_temporary_file_that_is_guessed_is_not_written_to(
    run: RunDirectory, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    for name in (f".status.json.{os.getpid()}.tmp", ".status.json.tmp"):
        (run.path / name).symlink_to(outside)
    write_json(run.status, {"a": 1})
    assert not outside.exists()
    assert json.loads(run.status.read_text()) == {"a": 1}


def test_a_terabyte_is_not_read(run: RunDirectory) -> None:
    task = run.task("worker-0")
    for path in (run.status, run.events, task.usage, task.times("stdout"), task.log("stdout")):
        path.touch()
        os.truncate(path, TERABYTE)
    problems = Problems()
    assert read_json(run.status, problems) is None
    events, position = read_events(run.events, problems)
    assert events == []
    assert position == TERABYTE
    assert {path.name for path in problems.found} == {"status.json", "events.jsonl"}
    assert "1,099,511,627,776 bytes" in problems.found[run.status]
    assert all_samples(UsageSample, task.usage) == []
    assert len(last_lines(task, 3)) <= 3


def test_the_end_of_a_huge_file_of_events_is_read(run: RunDirectory) -> None:
    run.events.write_bytes(b'{"time": 1, "kind": "first"}\n')
    os.truncate(run.events, TERABYTE)
    with run.events.open("ab") as stream:
        stream.write(b'\n{"time": 2, "kind": "last"}\n{"time": 3')
    problems = Problems()
    events, position = read_events(run.events, problems)
    assert [event.kind for event in events] == ["last"]
    assert "only its end is read" in problems.found[run.events]
    with run.events.open("ab") as stream:
        stream.write(b', "kind": "next"}\n')
    assert [event.kind for event in read_events(run.events, None, position)[0]] == ["next"]


def test_events_continue_in_a_new_file_with_all_earlier_events(run: RunDirectory) -> None:
    log = EventLog(run.events)
    log.write("one")
    run.events.unlink()
    os.mkfifo(run.events)
    log.keep()
    log.write("two")
    log.close()
    assert [event.kind for event in read_events(run.events)[0]] == ["one", "two"]


@pytest.mark.parametrize("turned", [False, True])
def test_a_removed_log_continues_in_a_new_file(run: RunDirectory, turned: bool) -> None:
    task = run.task("worker-0")
    writer = LogWriter(task, "stdout", 200)
    writer.write(b"x" * 200 + b"\n" if turned else b"", 1.0)
    writer.write(b"lost\n", 2.0)
    task.log("stdout").unlink()
    writer.write(b"after\n", 3.0)
    writer.close()
    lines = last_lines(task, 9)
    assert lines[-2:] == ["[tenfold: this log was removed, and 5 bytes with it]", "after"]
    assert (lines[0] == "x" * 200) == turned


def test_a_renamed_file_never_replaces_another(run: RunDirectory) -> None:
    for number in (1, 2, 3):
        (run.path / "x").mkdir() if number == 2 else (run.path / "x").write_text(str(number))
        assert files.set_aside(run.path / "x") == run.path / f"x.damaged-{number}"
    assert (run.path / "x.damaged-2").is_dir()
    assert (run.path / "x.damaged-3").read_text() == "3"
    assert files.set_aside(run.path / "nothing") is None
    assert not (run.path / "nothing.damaged-1").exists()


def test_names_that_no_file_can_have(run: RunDirectory) -> None:
    for name in ("a\0b", "x" * 300):
        assert not files.exists(run.path / name)
        assert files.size_of(run.path / name) == 0
        assert files.directories(run.path / name) == []
        assert files.names(run.path / name) == []
        assert read_json(run.path / name) is None


def test_a_cut_line_is_ended_before_the_next(run: RunDirectory) -> None:
    run.events.write_text('{"cut')
    descriptor = open_to_append(run.events)
    append(descriptor, b"next\n")
    os.close(descriptor)
    assert run.events.read_text() == '{"cut\nnext\n'


def test_a_log_with_a_terabyte_of_holes_is_read_at_once(run: RunDirectory) -> None:
    task = run.task("worker-0")
    task.log("stdout").write_bytes(b"first\n")
    os.truncate(task.log("stdout"), TERABYTE)
    with task.log("stdout").open("ab") as stream:
        stream.write(b"\nlast\n")
    lines = [line.text for line in merged(readers([task]), last=True)]
    assert lines[0] == "first"
    assert lines[-1] == "last"
    assert any("bytes here were never written" in line for line in lines)
    assert len(lines) < 9
