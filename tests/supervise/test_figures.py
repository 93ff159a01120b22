"""Figures that are not finite: what is told of them, and when."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import up
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create
from tenfold.run.statusfiles import OddFigure
from tenfold.supervise.figures import FigureWatch
from tenfold.views.live import LiveReader
from tenfold.views.notfinite import words
from tenfold.views.status import status
from tenfold.views.why import account
from tests.plans import plan_of, shell

TRAIN = """
import math, tenfold
for step in range(100):
    loss = math.nan if step >= 20 else 1 / (step + 1)
    tenfold.progress(step, 100, loss=loss, lr="inf" if 5 <= step < 10 else 0.1, note="banana")
"""


def test_a_run_whose_loss_is_nan_succeeds_and_reports_since_which_step(runs: Path) -> None:
    """Every step counts, though progress is written only five times a second."""
    run = up(plan_of(shell("chief", f"exec '{sys.executable}' -c '{TRAIN}'")), runs=runs)
    ended = run.wait(60)
    assert ended["state"] == "succeeded"
    told = account(run.directory).to_json()
    assert told["headline"].startswith(
        "c succeeded, but: loss is not finite (nan) since step 20 of chief/0; chief finished"
    )
    assert told["wrong"]
    assert [one["kind"] for one in told["troubles"]] == ["not-finite"]
    odd = {one.figure: (one.since, one.until) for one in status(run.directory).not_finite}
    assert odd == {"lr": (5, 10), "loss": (20, None)}
    events, _ = read_events(run.directory.events)
    figures = [event.more["figure"] for event in events if event.kind == "not-finite"]
    assert figures.count("loss") == 1
    now = LiveReader(run.directory).read()
    assert now.warning == "loss is not finite (nan) since step 20 of chief/0"
    json.dumps([told, now.to_json()], allow_nan=False)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run of one task that has told nothing."""
    made = create(tmp_path, "c")
    made.task("worker-0").path.mkdir()
    return made


def _say(run: RunDirectory, **odd: Any) -> None:
    write_json(run.task("worker-0").progress, {"done": 9, "total": 10, "not_finite": odd})


def test_a_figure_is_news_once_and_once_more_when_it_is_finite_again(run: RunDirectory) -> None:
    watch = FigureWatch(run)
    assert watch.look(["worker/0"]) == []
    _say(run, loss={"value": "nan", "since": 3, "until": None})
    assert [odd.since for odd in watch.look(["worker/0"])] == [3]
    _say(run, loss={"value": "nan", "since": 3, "until": None})
    assert watch.look(["worker/0"]) == []
    _say(run, loss={"value": "nan", "since": 3, "until": 7})
    assert [odd.until for odd in watch.look(["worker/0"])] == [7]
    _say(run)
    assert watch.look(["worker/0"]) == []
    assert watch.found == []


@pytest.mark.parametrize(
    "odd", [3, [], {"loss": 3}, {"loss": {"since": "x"}}, {"loss": {"since": float("nan")}}]
)
def test_progress_of_the_wrong_type_stops_no_training(run: RunDirectory, odd: object) -> None:
    path = run.task("worker-0").progress
    path.write_text(json.dumps({"done": 1, "total": 2, "not_finite": odd}))
    assert FigureWatch(run).look(["worker/0"]) == []


def test_figures_of_many_tasks_are_one_sentence() -> None:
    odd = [OddFigure(f"worker/{n}", "loss", "nan", 120 + n) for n in (2, 0, 1)]
    assert words(odd) == "loss is not finite (nan) since step 120 of worker/0 (and of 2 more)"
    back = [replace(odd[0], until=130)]
    assert words(back) == "loss was not finite (nan) from step 122 to 130 of worker/2"
    assert words([*odd, *back]) == words(odd)
    assert words([]) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity"])
def test_numbers_that_json_does_not_have_never_reach_the_page(run: RunDirectory, text: str) -> None:
    """A progress file that the task wrote itself, past `tenfold.progress`."""
    write_json(
        run.plan, {"cluster": "c", "tasks": [{"task": "worker/0", "job": "worker", "index": 0}]}
    )
    for said in (
        f'{{"done": {text}, "total": 9, "time": 9}}',
        f'{{"done": 1, "total": 9, "time": 9, "rate": {text}, "figures": {{"a": {text}}}}}',
    ):
        run.task("worker-0").progress.write_text(said)
        json.dumps(LiveReader(run).read().to_json(), allow_nan=False)
