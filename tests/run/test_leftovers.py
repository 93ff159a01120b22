"""A writer that is killed at any moment: old or new, never a mixture, and nothing lost for good."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tenfold.run import jsonfiles
from tenfold.run.eventlog import EventLog, read_events
from tenfold.run.files import set_aside
from tenfold.run.jsonfiles import Problems, read_json, write_json
from tenfold.run.logs.files import look
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import RunDirectory, create, set_aside_damaged
from tests.killed import each_death

LINES = [b"line %06d\n" % n for n in range(30)]


def _prepare(run: RunDirectory) -> None:
    shutil.rmtree(run.path)
    task = run.task("worker-0")
    task.path.mkdir(parents=True)
    write_json(run.status, {"n": 1, "again": 1})
    run.resumed.write_bytes(b'{"cut')
    log = EventLog(run.events)
    log.write("one")
    log.close()
    writer = LogWriter(task, "stdout", 100)
    writer.write(b"".join(LINES[:25]))
    writer.close()


def _act(run: RunDirectory) -> None:
    set_aside(run.resumed)
    write_json(run.status, {"n": 2, "again": 2, "pad": "x" * 100_000})
    write_json(run.resumed, {"n": 2})
    log = EventLog(run.events)
    log.write("two")
    log.close()
    writer = LogWriter(run.task("worker-0"), "stdout", 100)
    for line in LINES[25:]:
        writer.write(line)
    writer.close()


def test_old_or_new_wherever_the_writer_was_killed(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    places = []
    for place in each_death(lambda: _prepare(run), lambda: _act(run)):
        places.append(place)
        problems = Problems()
        said = read_json(run.status, problems)
        assert said is not None, place
        assert said["n"] == said["again"], place
        assert not problems.found, place
        aside = run.path / "resumed.json.damaged-1"
        kept = [path.read_bytes() for path in (run.resumed, aside) if path.exists()]
        assert b'{"cut' in kept, place
        kinds = [event.kind for event in read_events(run.events, problems)[0]]
        assert kinds in (["one"], ["one", "two"]), place
        assert not problems.found, place
        _go_on(run, place)
    assert len(places) > 25
    assert {"openat", "write", "renameat", "close"} <= {place.split()[0] for place in places}


def _go_on(run: RunDirectory, place: str) -> None:
    """The next writer: it loses none of the log's bytes, and removes what is left beside."""
    task = run.task("worker-0")
    files = look(task, "stdout")
    written = files.end
    assert files.read(files.dropped, 1 << 20) == b"".join(LINES)[files.dropped : written], place
    assert written - files.dropped >= 100, place
    writer = LogWriter(task, "stdout", 100)
    writer.write(b"after\n")
    writer.close()
    files = look(task, "stdout")
    said = b"".join(LINES)[:written] + b"after\n"
    assert files.end == len(said), place
    assert files.read(files.dropped, 1 << 20) == said[files.dropped :], place
    assert files.end - files.dropped >= 100, place
    beside = [path for path in run.path.iterdir() if path.name.endswith(".tmp")]
    for path in beside:
        os.utime(path, (time.time() - 100,) * 2)
    for path in (run.status, run.resumed):
        child = os.fork()
        if child == 0:
            jsonfiles._written.clear()  # as in a process of its own
            write_json(path, {"n": 3})
            os._exit(0)
        os.waitpid(child, 0)
    assert not any(path.name.endswith(".tmp") for path in run.path.iterdir()), place


def test_a_writer_at_work_is_not_swept(tmp_path: Path) -> None:
    young, old = tmp_path / ".s.json.1.tmp", tmp_path / ".s.json.2.tmp"
    other = tmp_path / ".other.json.2.tmp"
    for path in (young, old, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 100,) * 2)
    write_json(tmp_path / "s.json", {})
    assert (young.exists(), old.exists(), other.exists()) == (True, False, True)


def test_damaged_files_are_renamed_and_never_over_others(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    task = run.task("worker-0")
    task.path.mkdir()
    write_json(run.resumed, {"whole": True})
    for n in (1, 2):
        run.status.write_bytes(b"cut %d" % n)
        task.life.write_bytes(b"")
        made = {path: aside.name for path, aside in set_aside_damaged(run)}
        assert made == {
            run.status: f"status.json.damaged-{n}", task.life: f"life.json.damaged-{n}",
        }  # fmt: skip
    assert (run.path / "status.json.damaged-1").read_bytes() == b"cut 1"
    assert not run.status.exists()
    assert set_aside_damaged(run) == []
    assert set_aside(tmp_path / "nothing") is None
    assert sorted(tmp_path.iterdir()) == [tmp_path / "c"]
