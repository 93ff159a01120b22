"""The run directory: whole writes, tolerant reads, the lock, and finding runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.errors import InputError, TenfoldError
from tenfold.run.eventlog import EventLog, read_events
from tenfold.run.jsonfiles import Problems, read_json, write_json
from tenfold.run.rundir import RunDirectory, create, every, find, hold_lock
from tests.conftest import wait_for


def test_only_its_owner_reads_a_run(tmp_path: Path) -> None:
    run = create(tmp_path / "a" / "b", "c")
    write_json(run.status, {"a": 1})
    EventLog(run.events).close()
    for path in (run.path, run.path / "tasks", run.shared("checkpoints")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (run.status, run.events):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_runs_at_once_get_two_directories(tmp_path: Path) -> None:
    made = [create(tmp_path, "c") for _ in range(5)]
    assert len({run.path for run in made}) == 5
    assert sorted(made, key=lambda run: run.run) == made


def test_an_unwritable_directory_for_runs_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot create a run directory") as raised:
        create(tmp_path / "file" / "runs", "c")
    assert "TENFOLD_RUNS" in (raised.value.hint or "")


WRITE = """
import sys
from pathlib import Path
from tenfold.run.jsonfiles import write_json
for n in range(10**9):
    write_json(Path(sys.argv[1]), {"n": n, "pad": "x" * (n % 50_000), "again": n})
"""


def test_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with subprocess.Popen([sys.executable, "-c", WRITE, str(path)]) as writer:
        try:
            wait_for(path.exists)
            for _ in range(500):
                problems = Problems()
                said = read_json(path, problems)
                assert not problems.found
                assert said is not None
                assert said["n"] == said["again"]
        finally:
            writer.kill()
    read = read_json(path)
    assert read is not None


def test_a_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["state.json"]


def test_json_cut_short_at_every_byte_is_reported_not_raised(tmp_path: Path) -> None:
    whole = json.dumps({"state": "running", "tasks": [{"task": "ü/0", "n": 1.5e3}]}).encode()
    path = tmp_path / "status.json"
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        problems = Problems()
        assert read_json(path, problems) is None
        assert list(problems.found) == [path]
    path.write_bytes(whole)
    assert read_json(path, Problems()) is not None


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, b"null", b"{}{}", b"\0"]
)
def test_nonsense_is_reported_not_raised(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    problems = Problems()
    assert read_json(path, problems) is None
    assert path in problems.found
    assert read_json(path) is None


def test_missing_files_are_nothing_special(tmp_path: Path) -> None:
    problems = Problems()
    assert read_json(tmp_path / "no.json", problems) is None
    assert read_events(tmp_path / "no.jsonl", problems) == ([], 0)
    assert read_json(tmp_path, problems) is None  # a directory, though, is
    assert list(problems.found) == [tmp_path]


def test_events_with_damaged_lines_and_one_being_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.write("one", "worker/0", n=1)
    path.write_bytes(path.read_bytes() + b'{"kind": "cut\n\xff\n[]\n' + b'{"kind": "two"}\n{"ki')
    problems = Problems()
    events, position = read_events(path, problems)
    assert [event.kind for event in events] == ["one", "two"]
    assert problems.found == {path: "has a damaged line"}
    with path.open("ab") as stream:
        stream.write(b'nd": "three"}\n')
    assert [event.kind for event in read_events(path, problems, position)[0]] == ["three"]
    log.close()


def test_a_run_is_found_by_cluster_name_or_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run under"):
        find(tmp_path)
    made: dict[str, RunDirectory] = {}
    for cluster in ("b", "a"):
        made[cluster] = create(tmp_path, cluster)
        write_json(made[cluster].plan, {})
    (tmp_path / "b" / "stray").mkdir()
    (tmp_path / "file").touch()
    assert find(tmp_path) == made["a"]
    assert find(tmp_path, "b") == made["b"]
    assert find(tmp_path, f"b/{made['b'].run}") == made["b"]
    assert find(tmp_path / "elsewhere", str(made["b"].path)) == made["b"]
    assert [run.cluster for run in every(tmp_path)] == ["a", "b"]
    for name in ("c", "b/c", "../b", "\0", "x" * 5000, "b/" + "x" * 5000, "b/\0"):
        with pytest.raises(InputError):
            find(tmp_path, name)


def test_the_lock_shows_whether_the_supervisor_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create(tmp_path, "c")
    assert not run.alive()
    code = (
        "import sys; from pathlib import Path; from tenfold.run.rundir import *;"
        "hold_lock(RunDirectory(Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()"
    )
    code = code.replace("hold_lock(R", "lock = hold_lock(R")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert run.alive()
        monkeypatch.setattr("tenfold.run.rundir._LOCK_S", 0.0)
        with pytest.raises(TenfoldError, match="already has a supervisor"):
            hold_lock(run)
        holder.kill()
    assert not run.alive()
