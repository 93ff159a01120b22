"""Events in pieces, and files that only look as if they were a run's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.run.files import read_piece, size_of
from tenfold.run.rundir import RunDirectory
from tenfold.views import eventpages
from tenfold.views.eventpages import end_of_events, events_from
from tenfold.views.inside import directories, task_labels


def _write(run: RunDirectory, *numbers: int) -> None:
    with run.events.open("a") as stream:
        stream.writelines(json.dumps({"n": n}) + "\n" for n in numbers)


def test_pieces_follow_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventpages, "MOST_BYTES", 40)
    run = RunDirectory(tmp_path)
    assert events_from(run) == {
        "version": 1, "events": [], "start": 0, "next": 0, "more": False, "damaged": {}
    }  # fmt: skip
    _write(run, *range(20))
    found, place, more = [], 0, True
    while more:
        piece = events_from(run, place)
        assert piece["start"] == place
        found += [event["n"] for event in piece["events"]]
        place, more = piece["next"], piece["more"]
    assert found == list(range(20))
    assert place == end_of_events(run) == run.events.stat().st_size


def test_damaged_lines_are_reported_and_unfinished_ones_are_not(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.events.write_bytes(b'{"n": 1}\n[]\n\xff\n{"n": 2}\n{"n": ')
    piece = events_from(run)
    assert [event["n"] for event in piece["events"]] == [1, 2]
    assert piece["damaged"]
    assert not piece["more"]
    assert piece["next"] == end_of_events(run) == 23
    assert events_from(run, 10**9)["events"] == []
    assert events_from(run, -5)["start"] == 0


def test_a_line_longer_than_a_piece_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventpages, "MOST_BYTES", 40)
    run = RunDirectory(tmp_path)
    run.events.write_bytes(b"x" * 100 + b"\n")
    _write(run, 1)
    place, found = 0, []
    for _ in range(5):
        piece = events_from(run, place)
        found += piece["events"]
        place = piece["next"]
    nothing = {"time": None, "kind": None, "task": None}
    assert found == [nothing | {"n": 1, "text": "n=1", "tone": "plain"}]


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    file, home = tmp_path / "file", tmp_path / "tasks"
    file.write_text("text")
    (home / "a-0").mkdir(parents=True)
    (home / ".hidden").mkdir()
    (home / "link").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(file)
    assert directories(home) == task_labels(RunDirectory(tmp_path)) == {"a-0"}
    assert read_piece(file, 1, 2) == b"ex"
    assert size_of(file) == 4
    for path in (tmp_path / "link", home, tmp_path / "none", Path("a\0b")):
        assert read_piece(path, 0, 5) == b""
        assert size_of(path) == 0
    home.rename(tmp_path / "moved")
    home.symlink_to(tmp_path / "moved")
    assert task_labels(RunDirectory(tmp_path)) == set()
