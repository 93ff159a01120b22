"""The writer of events: whole lines in order, after a cut one, and on a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.run import eventlog
from tenfold.run.eventlog import Event, EventLog, read_events
from tenfold.run.jsonfiles import Problems
from tests.disks import fill, small_disk


def _kinds(path: Path) -> list[str]:
    return [event.kind for event in read_events(path)[0]]


def test_a_cut_last_line_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"kind": "one"}\n{"kind": "tw')
    log = EventLog(path, lambda: 12.3456)
    log.write("three", "ps/0", n=1)
    log.close()
    problems = Problems()
    events, _ = read_events(path, problems)
    assert events == [Event("one"), Event("three", 12.346, "ps/0", {"n": 1})]
    assert problems.found == {path: "has a damaged line"}


def test_odd_text_is_no_trouble(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.write("note", message="f\udcffr")
    log.close()
    assert _kinds(tmp_path / "events.jsonl") == ["note"]


def test_events_of_a_full_disk_come_late_and_in_order(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "events.jsonl"
        log = EventLog(path)
        log.write("before")
        filler = fill(disk)
        count = 0
        while len(_kinds(path)) == 1 + count:  # what is left of the last page
            log.write("held", n=count)
            count += 1
        log.write("held", n=count)
        before = path.read_bytes()
        assert before.endswith(b"\n")
        log.flush()
        assert path.read_bytes() == before
        filler.unlink()
        log.write("after")
        log.close()
        events, _ = read_events(path)
        assert [event.more["n"] for event in events if event.kind == "held"] == [*range(count + 1)]
        assert [event.kind for event in events[-5:]] == [
            "disk-full", "held", "held", "disk-back", "after",
        ]  # fmt: skip
        assert events[-2].to_json() | {"time": 0} == {
            "time": 0, "kind": "disk-back", "task": None, "path": str(path),
            "lost_bytes": 0, "kept": 2, "lost": 0,
        }  # fmt: skip


def test_memory_for_events_is_bounded_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog, "KEPT", 10)
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "events.jsonl"
        log = EventLog(path)
        filler = fill(disk)
        for n in range(1000):
            log.write("held", n=n)
        filler.unlink()
        log.close()
        events, _ = read_events(path)
        held = [event.more["n"] for event in events if event.kind == "held"]
        assert held == [*range(len(held))]
        back = events[-1].to_json()
        assert (back["kind"], back["kept"]) == ("disk-back", 10)
        assert back["lost"] == 1000 - len(held)
        assert back["lost_bytes"] > 50 * back["lost"]


def test_nothing_is_left_half_written_in_the_last_free_bytes(tmp_path: Path) -> None:
    """However the free bytes divide, each line is there whole or not at all."""
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "events.jsonl"
        log = EventLog(path)
        fill(disk)
        for n in range(1000):
            log.write("held", pad="x" * (n % 97))
        for line in path.read_bytes().splitlines():
            json.loads(line)
        log.close()
