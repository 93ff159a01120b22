"""Logs of a gigabyte and clusters of a thousand tasks: the dashboard's memory stays bounded."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import MakeRun
from .fake_runs import FakeRun
from .served import served

MOST_BYTES = 400 << 20
LOG_BYTES = 1 << 30
DISK_BYTES = 3 << 30


@pytest.fixture
def long_run(make_run: MakeRun, tmp_path: Path) -> Iterator[FakeRun]:
    """A worker with a log of a gigabyte, and one with a gigabyte without a newline."""
    if (free := shutil.disk_usage(tmp_path).free) < DISK_BYTES:
        pytest.skip(f"needs 3 GB of disk, {free >> 20} MB are free")
    run = make_run({"worker": 3})
    yield run
    for name in run.names:
        run.task(name).log("stdout").unlink()


def test_a_log_of_a_gigabyte_opens_at_its_end(long_run: FakeRun, place: Path) -> None:
    last = long_run.long_log("worker/1", LOG_BYTES)
    with served(place) as board:
        page = board.logs(long_run.key, tasks=["worker/1"])
        assert numbers(page) == list(range(last - 499, last + 1))
        older = board.logs(long_run.key, tasks=["worker/1"], cursor=page["start"])
        assert numbers(older) == list(range(last - 999, last - 499))
        assert older["more"]

        long_run.log("worker/1", f"line {last + 1:010d}")
        newer = board.logs(long_run.key, tasks=["worker/1"], cursor=page["end"], direction="on")
        assert numbers(newer) == [last + 1]
        assert board.memory_bytes() < MOST_BYTES


def test_a_search_of_a_gigabyte_goes_in_steps(long_run: FakeRun, place: Path) -> None:
    last = long_run.long_log("worker/1", LOG_BYTES)
    with served(place) as board:
        wanted: dict[str, Any] = {"tasks": ["worker/1"], "text": f"line {last - 50_000:010d}"}
        page = board.logs(long_run.key, **wanted)
        steps = 1
        while not page["lines"]:
            assert page["more"]
            page = board.logs(long_run.key, cursor=page["start"], **wanted)
            steps += 1
        assert numbers(page) == [last - 50_000]
        assert steps > 1
        assert board.memory_bytes() < MOST_BYTES


def test_a_gigabyte_without_a_newline(long_run: FakeRun, place: Path) -> None:
    with long_run.task("worker/2").log("stdout").open("ab") as log:
        log.truncate(LOG_BYTES)
    with served(place) as board:
        page = board.logs(long_run.key)
        assert len(json.dumps(page)) < 64 << 20
        some = board.ask(f"api/runs/{long_run.key}/logs/worker-2/stdout", most=32 << 20)
        assert some.status == 200
        assert some.body.startswith(b"worker/2 is up\n\0\0")
        assert board.memory_bytes() < MOST_BYTES


def test_a_thousand_tasks(make_run: MakeRun, place: Path) -> None:
    run = make_run({"chief": 1, "ps": 19, "worker": 980})
    run.flow()
    with served(place) as board:
        for _ in range(3):
            told = board.get(f"api/runs/{run.key}")
            drawn = board.get(f"api/runs/{run.key}/map")
            run.flow()
        assert len(told["tasks"]) == len(drawn["layout"]["nodes"]) == 1000
        assert len(drawn["groups"]) == 3
        assert board.memory_bytes() < MOST_BYTES


def numbers(page: dict[str, Any]) -> list[int]:
    """Of the lines of a long log, their numbers."""
    found = [re.match(r"line (\d+)", line["text"]) for line in page["lines"]]
    return [int(match[1]) for match in found if match]
