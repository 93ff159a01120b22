"""Commands on run directories in which tasks, disks and other versions have left anything."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.run.rundir import RunDirectory
from tests.cli.desk import Desk
from tests.damages import DAMAGES, READING, Damage, contents, files_of, full_run, run_command

SEED = 18
FEW = 2
"""So many of the other contents of each file are tried with all commands, from a fixed seed."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that are never changed: one, and one that is there to be seen beside a damaged one."""
    place = tmp_path_factory.mktemp("whole")
    full_run(place / "runs")
    other = next((place / "runs" / "demo").iterdir())
    beside = place / "runs" / "beside" / other.name
    shutil.copytree(other, beside)
    for path in (beside / "plan.json", beside / "status.json"):
        path.write_text(path.read_text().replace('"demo"', '"beside"'))
    return place


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:
    shutil.copytree(whole / "runs", tmp_path / "runs")
    return RunDirectory(next((tmp_path / "runs" / "demo").iterdir()))


def _faults(run: RunDirectory, scratch: Path, words: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    for one in words:
        seen = run_command(run.path.parent.parent, one, scratch)
        if fault := seen.fault():
            yield fault
        if one == ("ps", "-a") and "beside" not in seen.said:
            yield f"ps -a does not show the other run: {seen.said}"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_no_command_is_stopped_by_foreign_files_in_a_run(
    run: RunDirectory, tmp_path: Path, damage: Damage
) -> None:
    """All files of the run at once, then all of a task."""
    secret = tmp_path / "secret"
    own = [name for name in files_of(run) if name.startswith("tasks")]
    for names in ([name for name in files_of(run) if name not in own], own):
        shutil.copytree(run.path, tmp_path / "kept")
        if damage.__name__ == "parent_link":
            names = [name for name in names if "/" in name][-1:]
        for name in names:
            damage(run.path / name, secret)
            secret = secret.with_name(f"{secret.name}x")
        assert list(_faults(run, tmp_path, READING)) == []
        shutil.rmtree(run.path)
        (tmp_path / "kept").rename(run.path)


def _names() -> list[str]:
    return ["plan.json", "status.json", "events.jsonl", "resumed.json", "addresses.json",
            "hangs/1/report.json", *(f"tasks/worker-0/{name}" for name in (
                "status.json", "progress.json", "placement.json", "unsaved.json", "life.json",
                "traffic.jsonl", "usage.jsonl"))]  # fmt: skip


@pytest.mark.parametrize("name", _names())
def test_whatever_a_file_holds_stops_no_command(
    run: RunDirectory, tmp_path: Path, name: str
) -> None:
    path = run.path / name
    data = path.read_bytes()
    others = list(contents(name, data))
    commands = tuple(words for words in READING if words[0] not in ("exec", "restart", "stacks"))
    for what, other in random.Random(SEED).sample(others, FEW):
        path.write_bytes(other)
        assert list(_faults(run, tmp_path, commands)) == [], what
    path.write_bytes(data)


def test_escape_sequences_in_a_run_directory_reach_no_terminal(
    run: RunDirectory, tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202e\r\x1b[8m"

    def spoilt(value: object) -> object:
        if isinstance(value, dict):
            return {key: spoilt(item) for key, item in value.items()}
        if isinstance(value, list):
            return [spoilt(item) for item in value]
        return f"{value}{evil}" if isinstance(value, str) else value

    for name in _names():
        path = run.path / name
        lines = [json.dumps(spoilt(json.loads(line))) for line in path.read_text().splitlines()]
        path.write_text("".join(f"{line}\n" for line in lines))
    for name in ("supervisor.log", "tasks/worker-0/stdout.log"):
        (run.path / name).write_text(f"line {evil}\nSomeError: {evil}\n")
    for words in READING:
        for color in ("always", "never"):
            said = run_command(run.path.parent.parent, (*words[:1], "--color", color, *words[1:]),
                               tmp_path).said  # fmt: skip
            for bad in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\r", "\x07", "\x1b[8m"):
                assert bad not in said, (words, color, said)


def test_the_damage_is_named_and_the_rest_is_shown(run: RunDirectory, tmp_path: Path) -> None:
    desk = Desk(tmp_path, tmp_path / "runs")
    said = json.loads(run.status.read_text())
    run.status.write_text(json.dumps(said | {"started": "yesterday", "consequences": {"a": 1}}))
    done = desk.tenfold("ps", f"demo/{run.run}")
    assert "status.json has values of the wrong type" in done.out
    assert "started" in done.out
    assert "worker/0 exited with code 1" in done.out
    told = json.loads(desk.tenfold("ps", f"demo/{run.run}", "--json").out)
    assert told["started"] is None
    assert told["consequences"] == []
    assert told["state"] == "failed"
