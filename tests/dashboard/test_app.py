"""What the dashboard answers, of runs that are well, damaged, or gone."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tenfold.dashboard.replies import encoded

from .fake_runs import Damage, FakeRun
from .served import Dashboard, served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place, one dashboard; each test has runs of its own there."""
    return tmp_path_factory.mktemp("app").resolve() / "runs"


@pytest.fixture(scope="module")
def board(place: Path) -> Iterator[Dashboard]:
    """A dashboard of that place."""
    with served(place) as started:
        yield started


@pytest.fixture
def run(place: Path) -> Iterator[FakeRun]:
    """The cluster of the talk, running."""
    with FakeRun(place) as made:
        made.flow()
        yield made
        shutil.rmtree(made.directory.path)


def test_a_run_is_served_with_usage_and_progress_of_its_tasks(
    board: Dashboard, run: FakeRun
) -> None:
    run.usage("worker/3", cpu=0.5, memory=1 << 20)
    run.progress("chief/0", 5, 10, loss=0.5, bad=[1])
    told = board.get(f"api/runs/{run.key}")
    assert told["state"] == "running"
    assert told["alive"] is True
    assert told["framework"] == "tensorflow"
    assert told["tunnel"].startswith("ssh ")
    tasks = {task["task"]: task for task in told["tasks"]}
    assert tasks["worker/3"]["memory"] == 1 << 20
    assert tasks["chief/0"]["progress"]["figures"] == {"loss": 0.5}
    assert tasks["worker/3"]["progress"] is None


def test_progress_of_an_earlier_start_is_not_shown(board: Dashboard, run: FakeRun) -> None:
    run.progress("chief/0", 5, 10)
    run.restart("chief/0")
    told = board.get(f"api/runs/{run.key}")
    assert told["tasks"][0]["progress"] is None


def test_the_map_and_its_layout(board: Dashboard, run: FakeRun) -> None:
    drawn = board.get(f"api/runs/{run.key}/map?aspect=2")
    assert len(drawn["edges"]) == 4 + 8 + 32
    assert set(drawn["layout"]["nodes"]) == set(run.names)


def test_a_task_is_served_with_its_last_lines_and_edges(board: Dashboard, run: FakeRun) -> None:
    run.log("worker/3", *(f"line {n}" for n in range(100)))
    told = board.get(f"api/runs/{run.key}/tasks/worker-3")
    assert told["task"]["task"] == "worker/3"
    assert [line["text"] for line in told["lines"]] == [f"line {n}" for n in range(60, 100)]
    assert len(told["edges"]) == 5
    assert set(told["usage"]) == {"time", "cpu", "memory"}


def test_logs_are_filtered_by_text_level_and_position(board: Dashboard, run: FakeRun) -> None:
    run.log("ps/1", "all well", "ValueError: no", "\x1b[31m<script>alert(1)</script>")
    page = board.logs(run.key, tasks=["ps"], level="error")
    assert [(line["task"], line["text"]) for line in page["lines"]] == [("ps/1", "ValueError: no")]
    page = board.logs(run.key, text="<SCRIPT>")
    assert [line["text"] for line in page["lines"]] == ["<script>alert(1)</script>"]
    page = board.logs(run.key, text="^Val.*o$", regex=True)
    assert [line["text"] for line in page["lines"]] == ["ValueError: no"]


def test_matches_of_an_expression_are_given_in_utf_16_units(board: Dashboard, run: FakeRun) -> None:
    run.log("ps/1", "😀 one", "two")
    page = board.logs(run.key, tasks=["ps/1"], text="on|wo", regex=True)
    assert [line["marks"] for line in page["lines"]] == [[[3, 5]], [[1, 3]]]
    assert "marks" not in board.logs(run.key, tasks=["ps/1"], text="one")["lines"][0]


def test_an_expression_that_would_take_for_ever_is_answered(board: Dashboard, run: FakeRun) -> None:
    run.log("ps/1", *["a" * 60 + "!"] * 100)
    assert board.logs(run.key, text="(a+)+$", regex=True)["lines"] == []


def test_slow_expressions_delay_no_other_request(board: Dashboard, run: FakeRun) -> None:
    run.log("ps/1", *["ab" * 1900 + "b" * n for n in range(400)])
    slow = {"tasks": ["ps/1"], "text": "[ab]*a[ab]{900}z", "regex": True}
    with ThreadPoolExecutor() as pool:
        searches = [pool.submit(board.logs, run.key, **slow) for _ in range(12)]
        assert board.get("api/runs")["runs"]
        assert not all(search.done() for search in searches)
        pages = [search.result() for search in searches]
    assert all(page["lines"] == [] for page in pages)


def test_a_page_closed_during_a_request_causes_no_error(board: Dashboard, run: FakeRun) -> None:
    """`served` fails when the dashboard writes a traceback."""
    words = {
        "Host": f"127.0.0.1:{board.port}",
        "Authorization": f"Bearer {board.token}",
        "Content-Length": "100",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in words.items())
    for body in (b"", b'{"text": "x'):
        with socket.create_connection(("127.0.0.1", board.port)) as made:
            made.sendall(f"POST /api/runs/{run.key}/logs HTTP/1.1\r\n{head}\r\n".encode() + body)
    assert board.get("api/runs")["runs"]


@pytest.mark.parametrize(
    "body",
    [
        {"tasks": "worker"}, {"tasks": [1]}, {"cursor": 1}, {"cursor": "x"}, {"direction": "up"},
        {"lines": 0}, {"lines": "5"}, {"lines": True}, {"text": 5}, {"text": "x" * 2000},
        {"text": "(", "regex": True}, {"regex": "yes"}, {"level": "loud"}, {"level": []},
        {"stream": "token"}, {"stream": ["stdout"]}, {"at": "now"}, {"at": 1e300}, [], "x", 5,
    ],
)  # fmt: skip
def test_an_invalid_request_is_refused_with_a_message(
    board: Dashboard, run: FakeRun, body: Any
) -> None:
    answer = board.ask(f"api/runs/{run.key}/logs", body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]


def test_a_question_that_is_no_json_or_too_long(board: Dashboard, run: FakeRun) -> None:
    path = f"api/runs/{run.key}/logs"
    assert board.ask(path, {"text": "x" * (2 << 20)}).status == 413
    assert board.ask(path, method="POST", headers={"Content-Length": "0"}).status == 200


def test_only_get_and_head_are_allowed(board: Dashboard, run: FakeRun) -> None:
    for path in (f"api/runs/{run.key}", f"api/runs/{run.key}/stream", "metrics"):
        head = board.ask(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert board.ask(path, method="DELETE").status == 405
    assert board.ask(f"api/runs/{run.key}/logs").status == 405
    head = board.ask(f"api/runs/{run.key}/logs/worker-0/stdout", method="HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("path", ["map?aspect=wide", "map?aspect=nan", "events?start=1e400"])
def test_a_bad_number_is_refused(board: Dashboard, run: FakeRun, path: str) -> None:
    assert board.ask(f"api/runs/{run.key}/{path}").status == 400


def test_a_log_is_downloaded_byte_for_byte(board: Dashboard, run: FakeRun) -> None:
    run.write("ps/0", b"\xff\x00 raw\r\n")
    answer = board.ask(f"api/runs/{run.key}/logs/ps-0/stdout")
    assert answer.body == run.task("ps/0").log("stdout").read_bytes()
    assert 'filename="ps-0.stdout.log"' in answer.headers["content-disposition"]
    assert answer.headers["content-type"].startswith("text/plain")


def test_events_in_pieces(board: Dashboard, run: FakeRun) -> None:
    first = board.get(f"api/runs/{run.key}/events")
    assert first["events"][0]["kind"] == "cluster-starting"
    run.fail("worker/1")
    with run.directory.events.open("ab") as events:
        events.write(b"{damaged\n")
    more = board.get(f"api/runs/{run.key}/events?start={first['next']}")
    assert [event["kind"] for event in more["events"]] == ["task-exited"]
    assert more["damaged"]
    assert board.get(f"api/runs/{run.key}/events?start=999999999")["events"] == []


def test_runs_the_newest_first_and_how_they_are(board: Dashboard, place: Path) -> None:
    with FakeRun(place, {"worker": 2}, cluster="one") as old:
        old.end("failed", "worker/0 was killed")
        with FakeRun(place, {"worker": 1}, cluster="two") as new:
            told = board.get("api/runs")["runs"]
            again = board.get("api/runs")["runs"]
        shutil.rmtree(new.directory.path)
        shutil.rmtree(old.directory.path)
    keys = [(run["cluster"], run["state"], run["alive"], run["tasks"]) for run in told]
    assert keys[:2] == [
        ("two", "running", True, {"running": 1}),
        ("one", "failed", False, {"succeeded": 2}),
    ]
    assert again == told


def test_a_killed_supervisor_is_shown_as_that(board: Dashboard, run: FakeRun) -> None:
    assert board.get(f"api/runs/{run.key}")["alive"]
    run.kill()
    told = board.get(f"api/runs/{run.key}")
    assert (told["alive"], told["state"]) == (False, "failed")
    assert told["tasks"][0]["state"] == "lost"


FILES = (
    "plan.json", "status.json", "events.jsonl", "tasks/worker-3/status.json",
    "tasks/worker-3/usage.jsonl", "tasks/worker-3/traffic.jsonl", "tasks/worker-3/stdout.log",
    "tasks/worker-3/stdout.times", "tasks/worker-3/progress.json",
)  # fmt: skip


@pytest.mark.parametrize("how", ["cut", "garbage", "empty", "missing", "directory"])
@pytest.mark.parametrize("file", FILES)
def test_damage_never_breaks_a_response(
    board: Dashboard, run: FakeRun, file: str, how: Damage
) -> None:
    run.progress("worker/3", 1, 2)
    run.damage(file, how)
    every_answer(board, run)


@pytest.mark.parametrize(
    "text",
    [
        '{"state": [], "started": "x", "ended": {}, "updated": "y", "tasks": 5, "urls": [1]}',
        '{"tasks": [{"task": "../../x", "job": 5, "index": "y"}, {"task": "a\\u0000b"}, 5, null]}',
        '{"tasks": [{"task": "worker/3"}], "framework": {}, "cluster": ["x"], "updated": NaN}',
        '{"done": NaN, "total": 1e999, "time": 1, "figures": [1], "rate": "x", "unit": null}',
        '{"url": 5, "urls": {"a": 5}, "restarts": "many", "started": "x", "address": "\\ud800"}',
        '{"consequences": {}, "first_failure": "x", "reason": 5, "cell": [], "age": 1}',
    ],
)
@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(".json")])
def test_wrong_types_never_break_a_response(
    board: Dashboard, run: FakeRun, file: str, text: str
) -> None:
    (run.directory.path / file).write_text(text)
    every_answer(board, run)


def every_answer(board: Dashboard, run: FakeRun) -> None:
    """Every part of a run can be asked for, and the dashboard says so in JSON."""
    for part in ("", "/map", "/events", "/training", "/placement"):
        board.get(f"api/runs/{run.key}{part}")
    board.logs(run.key)
    assert board.ask(f"api/runs/{run.key}/tasks/worker-3").status in (200, 404)
    assert board.ask(f"api/compare?a={run.key}&b={run.key}").status == 200
    assert board.ask("api/runs").status == 200
    assert board.ask("metrics").status == 200
    streamed = board.ask(f"api/runs/{run.key}/stream", most=40)
    assert streamed.body.startswith(b"retry: 1000\n\nevent: status\n")


def test_comparing_two_runs_lists_their_differences(
    board: Dashboard, run: FakeRun, place: Path
) -> None:
    with FakeRun(place, {"chief": 1, "ps": 4, "worker": 16}, env={"RATE": "2"}) as other:
        other.progress("chief/0", 10, 10, loss=0.25)
        told = board.get(f"api/compare?a={run.key}&b={other.key}")
    shutil.rmtree(other.directory.path)
    differences = {item["path"]: (item["a"], item["b"]) for item in told["plan"]}
    assert differences["jobs.worker.tasks"] == (8, 16)
    assert differences["jobs.chief.env.RATE"] == (None, "2")
    figures = {item["name"]: (item["a"], item["b"]) for item in told["figures"]}
    assert figures["chief/0 loss"] == (None, 0.25)
    assert board.ask("api/compare?a=x&b=y").status == 404


def test_static_files_are_kept_by_the_browser(board: Dashboard) -> None:
    first = board.ask("static/index.html")
    assert first.status == 200
    again = board.ask("static/index.html", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert board.ask("").body == first.body
    for name in ("__init__.py", "..", "x.js"):
        assert board.ask(f"static/{name}").status == 404


def test_json_that_every_browser_reads() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    value = {"nan": float("nan"), "list": [float("inf"), 1.5], "half": "\ud800x", "deep": deep}
    told = json.loads(encoded(value), parse_constant=pytest.fail)
    assert (told["nan"], told["list"], told["half"]) == (None, [None, 1.5], "?x")
