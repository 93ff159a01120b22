"""The overview of clusters that really run, in a real browser: slow, hung and failed tasks."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import HangPolicy, Task
from tests.engines.browser import NewPage
from tests.plans import plan_of

from .served import served

if TYPE_CHECKING:
    from playwright.sync_api import Page

TRAIN = """
import os, sys, time
import tenfold

def step(task):
    time.sleep(0.4 if task.index == 2 and sys.argv[1] == "slow" else 0.05)
    if sys.argv[1] == "fails" and task.index == 1 and os.path.exists(task.run_directory / "fail"):
        raise ValueError("a bad batch")

task = tenfold.task()
for number in range(100_000):
    step(task)
    tenfold.progress(number, 100_000, loss=1 / (1 + number))
    if number % 50 == 0:
        print("step", number, flush=True)
"""

Start = Callable[[str], tuple[Run, "Page"]]


@pytest.fixture
def start(runs: Path, new_page: NewPage) -> Iterator[Start]:
    """Starts four ranks that train in some way, and opens the page on them."""
    with ExitStack() as stack:

        def make(how: str) -> tuple[Run, Page]:
            tasks = [
                Task(job="worker", index=n, command=(sys.executable, "-c", TRAIN, how),
                     workdir="/tmp")
                for n in range(4)
            ]  # fmt: skip
            hang = HangPolicy(after_s=4.0)
            run = up(plan_of(*tasks, success=("worker",), hang=hang), runs=runs)
            stack.callback(run.stop, kill=True, timeout_s=30)
            board = stack.enter_context(served(runs))
            page = new_page()
            stack.callback(page.context.close)  # before the dashboard ends
            page.goto(board.welcome)
            page.locator("main[data-view=overview] .percent").wait_for()
            return run, page

        yield make


def test_a_healthy_run_shows_progress_curves_and_ranks(start: Start) -> None:
    _, page = start("well")
    page.get_by_text("no problem found").wait_for()
    page.locator("figure[data-tag=loss] canvas").wait_for()
    page.locator(".ranks li").nth(3).wait_for()
    page.locator(".last-lines").get_by_text("step 0").first.wait_for()
    page.locator(".usage-panel canvas:visible").first.wait_for()


def test_a_rank_that_is_really_slow_stands_out(start: Start) -> None:
    _, page = start("slow")
    page.locator('.ranks li[data-slow][data-task="worker/2"]').wait_for()


def test_a_stopped_rank_is_reported_with_its_stacks(start: Start) -> None:
    run, page = start("well")
    page.locator(".ranks li").nth(3).wait_for()
    pid = next(task["pid"] for task in run.status()["tasks"] if task["task"] == "worker/1")
    os.kill(pid, signal.SIGSTOP)
    try:
        alarm = page.locator(".strip[data-tone=alarm]")
        alarm.get_by_text("worker/1").first.wait_for()
        written = Path(run.status()["hang"]["report"]).stat().st_mtime
        print(f"shown {time.time() - written:.1f} s after the report")
        assert page.title().startswith("⚠ hangs")
        page.locator(".evidence .culprit", has_text="worker/1").wait_for()
        page.locator(".evidence .stack", has_text="worker/1").first.wait_for()
        alarm.get_by_text("Show on the map").click()
        page.locator('button[data-task="worker/1"][data-alarm]').wait_for(state="attached")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_an_exception_is_shown_in_place(start: Start) -> None:
    run, page = start("fails")
    page.locator(".ranks li").nth(3).wait_for()
    (run.directory.path / "fail").touch()
    page.locator(".strip[data-tone=alarm]").get_by_text("a bad batch").wait_for()
    assert "a bad batch" in page.locator(".evidence").inner_text()
    assert page.title().startswith("⚠ failed")
