"""What a stream tells: all of it first, then what is new, and nothing twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.dashboard import stream
from tenfold.dashboard.boards import Board
from tenfold.dashboard.changes import changes, map_changes
from tenfold.dashboard.stream import Watches, first_look, next_look, told
from tenfold.run.states import State
from tenfold.views.live import LiveRun, LiveTask
from tenfold.views.status import RunView, TaskView
from tenfold.views.traffic import MapEdge, MapView

from .conftest import MakeRun
from .fake_runs import FakeRun

Event = tuple[str, Any]


def parsed(data: bytes) -> list[Event]:
    """The events in what came over the wire."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def new(board: Board, before: stream.Look) -> tuple[stream.Look, dict[str, Any]]:
    """Another look, and what it tells by name."""
    look, messages = next_look(board, before)
    return look, dict(parsed(b"".join(data for _, data in messages)))


def test_nothing_new_is_next_to_nothing(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board)
    look, first = new(board, look)
    assert first.keys() <= {"tasks"}
    assert first["tasks"] == {"head": {"age_s": first["tasks"]["head"]["age_s"]}, "tasks": []}


def test_a_death_is_sent_as_the_complete_task_and_nothing_else(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board)
    demo_run.fail("worker/3")
    demo_run.update(reason="worker/3 died")
    look, said = new(board, look)
    (task,) = said["tasks"]["tasks"]
    assert task == next(
        task for task in board.now().to_json()["tasks"] if task["task"] == "worker/3"
    )
    assert said["tasks"]["head"]["reason"] == "worker/3 died"
    assert said["map"]["tasks"] == [{"task": "worker/3", "state": "failed"}]
    assert [event["kind"] for event in said["events"]["events"]] == ["task-exited"]
    assert said["events"]["next"] > said["events"]["start"]
    assert "events" not in new(board, look)[1]


def test_the_stream_sends_edges_whose_traffic_changed(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board)
    demo_run.talk("worker/3", "ps/1", 1000, 500)
    demo_run.tell("worker/3")
    said = new(board, look)[1]["map"]
    assert {("ps/1", "worker/3"), ("worker/3", "ps/1")} & {
        (edge["from"], edge["to"]) for edge in said["edges"]
    }
    assert len(said["edges"]) < 44


def test_the_map_is_not_read_while_no_stream_wants_it(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board, with_map=False)
    demo_run.flow()
    look, messages = next_look(board, look, with_map=False)
    assert look.map is None
    assert "map" not in [name for name, _ in messages]
    look, messages = next_look(board, look)
    assert look.map is not None
    (data,) = [data for name, data in messages if name == "map"]
    assert len(parsed(data)[0][1]["edges"]) == 44, "all edges are news to who wants the map now"


def test_the_verdict_of_why_follows_what_happens(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board)
    health = board.health(look.now)
    assert health.tone == "good"
    assert "no problem found" in health.headline
    assert board.health(look.now) is health
    demo_run.update(hang={"time": 1.0, "task": "worker/1", "words": "worker/1 stands",
                          "report": None, "action": "report"})  # fmt: skip
    look, _ = new(board, look)
    health = board.health(look.now)
    assert health.tone == "bad"
    assert health.headline.startswith("word2vec hangs: worker/1 stands")
    assert health.culprit == "worker/1"


def test_the_stream_sends_the_verdict_after_the_news(demo_run: FakeRun) -> None:
    async def test() -> None:
        watches = Watches()
        stream = watches.stream(Board(demo_run.directory), {}, with_map=False)
        found = await until(stream, "health")
        assert found[-1][1]["tone"] == "good"
        assert "map" not in [name for name, _ in found]
        await stream.aclose()

    run_async(test)


def test_the_end_is_seen(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    look = first_look(board)
    assert not look.now.over
    demo_run.end()
    look, said = new(board, look)
    assert look.now.over
    assert said["tasks"]["head"]["state"] == "succeeded"


def test_tiny_changes_of_figures_are_not_sent() -> None:
    view = TaskView("a/0", "a", 0, State.RUNNING)
    task = LiveTask(view, cpu=0.5, memory=1 << 30, cpu_s=1.0)
    before = LiveRun(RunView("c", "r", Path("c/r"), tasks=(view,)), alive=True, tasks=(task,))

    def told_of(**more: Any) -> bool:
        return changes(before, replace(before, tasks=(replace(task, **more),))) is not None

    assert not told_of(cpu=0.505, memory=(1 << 30) + 1000, cpu_s=1.5)
    assert told_of(cpu=0.6)
    assert told_of(cpu=None)
    assert told_of(memory=1 << 29)
    assert told_of(view=replace(view, state=State.FAILED))


def test_edges_that_are_gone_carry_nothing() -> None:
    edge = MapEdge("a/0", "outside:1.2.3.4", connections=1, rate_bytes_s=5.0, rate_to=5.0)
    empty = MapView("c", "r", "running", 1.0, 1.0)
    before, same = replace(empty, edges=(edge,)), replace(empty, edges=(replace(edge),))
    said = map_changes(before, empty)
    assert said is not None
    assert said["edges"][0]["connections"] == said["edges"][0]["rate_bytes_s"] == 0
    assert map_changes(before, same) is None


def test_one_event_is_one_line_of_data() -> None:
    assert told("x", {"a": "b\nc\r\n"}) == b'event: x\ndata: {"a":"b\\nc\\r\\n"}\n\n'


def run_async(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it, with a limit that only a hang reaches."""
    asyncio.run(asyncio.wait_for(test(), 60))


async def until(source: AsyncGenerator[bytes, None], name: str) -> list[Event]:
    """Events up to the first of this name."""
    found: list[Event] = []
    async for data in source:
        found += parsed(data)
        if any(event == name for event, _ in found):
            break
    return found


def test_streams_of_a_run_share_one_watch(
    demo_run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "TICK_S", 0.01)
    board, watches = Board(demo_run.directory), Watches()

    async def test() -> None:
        one, other = watches.stream(board, {"tunnel": "ssh"}), watches.stream(board, {})
        first = await until(one, "beat")
        assert [name for name, _ in first][:2] == ["status", "map"]
        assert first[0][1]["tunnel"] == "ssh"
        assert len(first[1][1]["edges"]) == 44
        await until(other, "map")
        assert watches.open == 2
        demo_run.fail("worker/3")
        for source in (one, other):
            assert (await until(source, "events"))[-1][0] in ("events", "beat")
        await one.aclose()
        assert watches.open == 1
        await other.aclose()
        assert watches.open == 0

    run_async(test)


def test_a_reader_that_is_too_slow_is_disconnected(
    demo_run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "TICK_S", 0.001)
    monkeypatch.setattr(stream, "_MOST_WAITING", 2)
    monkeypatch.setattr(stream, "_SHARE", 1)
    board, watches = Board(demo_run.directory), Watches()

    async def test() -> None:
        slow, good = watches.stream(board, {}), watches.stream(board, {})
        await until(slow, "status")
        for _ in range(10):
            await until(good, "beat")
        left = [data async for data in slow]
        assert len(left) < 5
        assert watches.open == 1
        await good.aclose()

    run_async(test)


def test_closing_ends_every_stream(demo_run: FakeRun) -> None:
    board, watches = Board(demo_run.directory), Watches()

    async def test() -> None:
        source = watches.stream(board, {})
        await until(source, "map")
        watches.close()
        async for _ in source:
            pass
        assert watches.open == 0

    run_async(test)


def test_a_failed_read_does_not_end_the_stream(
    demo_run: FakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stream, "TICK_S", 0.01)
    board, watches = Board(demo_run.directory), Watches()

    async def test() -> None:
        source = watches.stream(board, {})
        await until(source, "map")
        monkeypatch.setattr(board, "now", lambda: 1 / 0)
        await until(source, "beat")
        await until(source, "beat")
        await source.aclose()

    run_async(test)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_run_without_any_file_is_streamed(make_run: MakeRun) -> None:
    run = make_run({"worker": 1})
    for path in ("plan.json", "status.json", "tasks", "events.jsonl"):
        run.damage(path, "missing")
    look = first_look(Board(run.directory))
    assert look.now.tasks == ()
    assert look.events_read == 0
