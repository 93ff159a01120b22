"""What a view makes of a run directory of which any part may be missing or damaged."""

from __future__ import annotations

import itertools
import shutil
import time
from io import StringIO
from pathlib import Path

import pytest

from tenfold.run.jsonfiles import Problems, read_json, write_json
from tenfold.run.rundir import RunDirectory, create, hold_lock
from tenfold.views.account import show_end
from tenfold.views.runlist import listed, show_runs
from tenfold.views.status import StatusReader, status
from tenfold.views.tasks import show_run, since
from tenfold.views.terminal import Terminal

FILES = ("plan.json", "status.json", "tasks/a-0/status.json", "tasks/a-1/status.json", "tasks")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that ended well: two tasks."""
    made = create(tmp_path, "c")
    tasks = [{"task": f"a/{n}", "job": "a", "index": n} for n in range(2)]
    write_json(made.plan, {"cluster": "c", "cell": "local", "tasks": tasks})
    write_json(made.status, {"state": "succeeded", "started": 1.0, "ended": 3.0, "updated": 3.0})
    for task in tasks:
        directory = made.task(f"a-{task['index']}")
        directory.path.mkdir()
        write_json(directory.status, task | {"state": "succeeded", "exit_code": 0, "started": 1.0})
    return made


def _shown(run: RunDirectory) -> str:
    stream = StringIO()
    now = status(run)
    show_run(Terminal(stream), now)
    show_runs(Terminal(stream), [listed(run)])
    if now.state:
        show_end(Terminal(stream), run)
    return stream.getvalue()


@pytest.mark.parametrize(
    "some", [some for n in (0, 1, 2, 5) for some in itertools.combinations(FILES, n)]
)
def test_with_some_of_it_missing(run: RunDirectory, some: tuple[str, ...]) -> None:
    for name in some:
        path = run.path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    now = status(run)
    assert now.cluster == "c"
    assert now.state in ("succeeded", "failed")
    if "plan.json" not in some or "tasks" not in some:
        assert [task.task for task in now.tasks] == ["a/0", "a/1"]
    assert _shown(run).startswith("c ")


@pytest.mark.parametrize("name", ["plan.json", "status.json", "tasks/a-1/status.json"])
def test_cut_short_at_every_byte_is_named_and_stops_nothing(run: RunDirectory, name: str) -> None:
    path = run.path / name
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        problems = Problems()
        now = status(run, problems)
        assert list(problems.found) == [path]
        assert list(now.damaged) == [str(path)]
        assert [task.task for task in now.tasks] == ["a/0", "a/1"]
    assert f"damaged: {path}" in _shown(run)


def test_values_of_the_wrong_type_stop_no_reader(run: RunDirectory) -> None:
    plan = read_json(run.plan) or {}
    plan["tasks"].append({"task": "a/\0", "job": "a", "index": 2})
    write_json(run.plan, plan)
    write_json(run.status, {"state": "running", "started": 1.0, "updated": "yesterday"})
    write_json(run.task("a-0").status, {"state": "running", "url": "x", "urls": ["x"]})
    with hold_lock(run):
        now = status(run)
    assert [task.state for task in now.tasks] == ["running", "succeeded"]
    assert str(run.plan) in now.damaged
    assert now.age_s is None
    assert now.tasks[0].urls == {}


def test_a_dead_supervisors_tasks_are_lost_and_do_not_age(run: RunDirectory) -> None:
    write_json(run.status, {"state": "running", "started": 1.0, "updated": time.time() - 60})
    live = {"task": "a/0", "state": "running", "pid": 77, "started": 1.0}
    write_json(run.task("a-0").status, live)
    now = status(run)
    assert (now.state, now.age_s) == ("failed", None)
    assert (now.tasks[0].state, now.tasks[0].pid) == ("lost", None)
    assert since(now.tasks[0], now.seen) == "1 min 00 s ago"
    assert "running" not in _shown(run)


def test_an_old_status_of_a_running_supervisor_shows_its_age(run: RunDirectory) -> None:
    write_json(run.status, {"state": "running", "started": 1.0, "updated": time.time() - 60})
    with hold_lock(run):
        assert status(run).age_s == pytest.approx(60, abs=20)
        assert "(seen 1 min 0" in _shown(run)


def test_url_gets_its_token_if_there_is_one(run: RunDirectory) -> None:
    write_json(run.task("a-0").status, {"state": "running", "url": "http://127.0.0.1:1/"})
    assert status(run).tasks[0].url == "http://127.0.0.1:1/"
    run.task("a-0").token.write_text("secret\n")
    assert status(run).tasks[0].url == "http://127.0.0.1:1/?token=secret"


def test_a_thousand_tasks(tmp_path: Path) -> None:
    run = create(tmp_path, "big")
    tasks = [{"task": f"worker/{n}", "job": "worker", "index": n} for n in range(1000)]
    write_json(run.plan, {"cluster": "big", "tasks": tasks})
    assert len(_shown(run).splitlines()) > 1000


def test_a_reader_reads_again_what_changed_and_nothing_else(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = StatusReader(run)
    first = reader.read()
    assert first == status(run)
    write_json(run.task("a-1").status, {"state": "failed", "exit_code": 3})
    read: list[Path] = []

    def noted(path: Path, problems: Problems) -> dict[str, object] | None:
        read.append(path)
        return read_json(path, problems)

    monkeypatch.setattr("tenfold.run.jsonfiles.read_json", noted)
    assert [task.state for task in reader.read().tasks] == ["succeeded", "failed"]
    assert read == [run.task("a-1").status]
    run.task("a-1").status.unlink()
    assert [task.state for task in reader.read().tasks] == ["succeeded", "waiting"]
