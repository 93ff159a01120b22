"""The overview in a real browser, on runs that nothing runs."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenfold.dashboard.app import STATIC
from tenfold.debug.stacks import ProcessStacks, StackFrame, TaskStacks, Thread
from tests.engines.browser import NewPage

from .conftest import MakeRun
from .fake_runs import FakeRun
from .served import Dashboard, served

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PHONE = {"width": 390, "height": 844}
RANKS = 4


@pytest.fixture
def board(place: Path) -> Iterator[Dashboard]:
    """The dashboard of this test's runs."""
    with served(place) as started:
        yield started


@pytest.fixture
def torch_run(make_run: MakeRun) -> FakeRun:
    """Four ranks of PyTorch that have trained for a while."""
    run = make_run({"worker": RANKS}, cluster="resnet", framework="torch")
    for step in range(60):
        at = run.began + step
        for name in run.names:
            loss = 0.3 + 2 * math.exp(-step / 20)
            run.progress(name, 10 * step, 1000, at=at, unit="steps", rate=10.0, loss=loss)
            run.usage(name, cpu=0.7, memory=(100 + step) << 20, at=at)
    run.update()
    return run


Look = Callable[..., "Page"]


@pytest.fixture
def look(board: Dashboard, new_page: NewPage) -> Look:
    """Opens a view of a run, the overview if none is named."""

    def make(run: FakeRun, view: str = "overview", **options: Any) -> Page:
        page = new_page(**options)
        page.goto(f"{board.welcome}#/{run.key}/{view}")
        page.locator(f"main[data-view={view}]").wait_for()
        return page

    return make


def panel(page: Page, title: str) -> Locator:
    """The card with this title."""
    return page.get_by_label(title, exact=True).first


def test_the_page_opens_on_the_overview(
    torch_run: FakeRun, board: Dashboard, new_page: NewPage
) -> None:
    page = new_page()
    page.goto(board.welcome)
    page.locator("main[data-view=overview]").wait_for()
    page.get_by_text("no problem found").wait_for()
    assert page.locator(".tab").first.inner_text().startswith("Overview")
    assert torch_run.directory.run in page.url


def test_progress_is_shown_with_rate_and_time_left(torch_run: FakeRun, look: Look) -> None:
    for name in torch_run.names:
        torch_run.progress(name, 600, 1000, unit="steps", rate=10.0, loss=0.5)
    page = look(torch_run)
    progress = panel(page, "Progress")
    for words in ("60 %", "600 / 1,000", "10.0 steps/s", "left, until"):
        progress.get_by_text(words).first.wait_for()
    torch_run.progress("worker/0", 800, 1000, unit="steps", rate=10.0, loss=0.4)
    progress.get_by_text("80 %").wait_for()
    progress.get_by_text("0.4", exact=True).wait_for()


def test_figures_of_progress_are_curves(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    chart = page.locator("figure[data-tag=loss]")
    chart.wait_for()
    for name in torch_run.names:
        chart.get_by_text(name).wait_for()
    assert ink(page, "figure[data-tag=loss] canvas") > 200, "the lines are drawn"
    page.keyboard.press("5")
    page.locator("main[data-view=training] figure[data-tag=loss]").wait_for()


def ink(page: Page, selector: str) -> int:
    """How many pixels of a canvas have a strong colour, once there are some."""
    count = """(selector) => {
      const canvas = document.querySelector(selector);
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let found = 0;
      for (let at = 0; at < data.length; at += 4) {
        const [r, g, b] = data.slice(at, at + 3);
        if (data[at + 3] > 150 && Math.max(r, g, b) - Math.min(r, g, b) > 50) found += 1;
      }
      return found;
    }"""
    page.wait_for_function(f"(selector) => ({count})(selector) > 0", arg=selector)
    return int(page.evaluate(count, selector))


def test_curves_are_smoothed_zoomed_and_hovered_together(torch_run: FakeRun, look: Look) -> None:
    for name in torch_run.names:
        torch_run.progress(name, 700, 1000, unit="steps", loss=0.5, accuracy=0.9)
    torch_run.scalars("accuracy", [n / 50 for n in range(50)])
    page = look(torch_run)
    loss = page.locator("figure[data-tag=loss] canvas")
    loss.wait_for()
    page.locator("figure[data-tag=accuracy] canvas").wait_for()
    page.get_by_label("Smoothing").fill("0.9")
    page.get_by_text("0.90").wait_for()
    page.get_by_label("log").check()
    page.get_by_label("Horizontal axis").select_option("time")
    loss.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".chart-tip:visible").count() >= 1
    box = loss.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.up()
    reset = page.get_by_role("button", name="Reset zoom")
    reset.click()
    reset.wait_for(state="hidden")
    page.reload()
    page.get_by_text("0.90").wait_for()
    assert page.get_by_label("log").is_checked(), "the choice is remembered"


def test_a_slow_rank_stands_out(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    slow = page.locator(".ranks li[data-slow]")
    begun = time.monotonic()
    for second in range(40):
        for name in torch_run.names:
            done = 600 + 20 * second if name != "worker/2" else 600 + 5 * second
            torch_run.progress(name, done, 5000, unit="steps", rate=20.0, loss=0.4)
        torch_run.update()
        if slow.count() == 1 and slow.get_attribute("data-task") == "worker/2":
            break
        time.sleep(0.5)
    print(f"a slow rank stands out after {time.monotonic() - begun:.1f} s")
    assert slow.get_attribute("data-task") == "worker/2"
    assert "the others" in slow.inner_text()
    page.locator(".troubles").get_by_text("worker/2: fewer steps").wait_for()


def test_use_of_cpu_and_memory_is_shown_over_time(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    for title in ("CPU, cores", "Memory"):
        card = panel(page, title)
        card.locator("canvas:visible").wait_for()
        assert "worker/0" in str(card.locator("canvas:visible").get_attribute("aria-label"))


def frames(*names: str) -> Thread:
    """A main thread in these functions, the newest first."""
    return Thread(tuple(StackFrame(name, "/w/train.py", 7) for name in names), "MainThread", True)


def stacks(run: FakeRun, culprit: str) -> list[TaskStacks]:
    """The culprit holds, all others wait for it."""
    return [
        TaskStacks(
            name,
            processes=(
                ProcessStacks(
                    100,
                    "S",
                    "python",
                    source="faulthandler",
                    stacks=(frames("hold" if name == culprit else "all_reduce", "main"),),
                ),
            ),
        )
        for name in run.names
    ]


def test_a_hang_is_impossible_to_miss(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run, "tasks")
    page.locator(".tab[aria-current]").wait_for()
    begun = time.monotonic()
    torch_run.hang(
        "worker/1", "no progress for 300 s: worker/1 is at hold", stacks(torch_run, "worker/1")
    )
    alarm = page.locator(".strip[data-tone=alarm]")
    alarm.get_by_text("resnet hangs: no progress for 300 s: worker/1 is at hold").wait_for()
    print(f"a hang shows after {time.monotonic() - begun:.1f} s")
    assert page.title().startswith("⚠ hangs · resnet")
    assert page.locator("link[rel=icon]").get_attribute("href") == "static/icon-bad.svg"
    alarm.get_by_text("Details").click()
    report = page.locator(".evidence")
    report.get_by_text("Report of the hang").wait_for()
    assert report.locator(".culprit").first.inner_text() == "worker/1"
    first = report.locator(".stack pre").first
    assert first.is_visible()
    assert first.inner_text().splitlines() == ["hold  /w/train.py:7", "main  /w/train.py:7"]
    assert "all_reduce" in report.locator(".stack pre").nth(1).inner_text()
    alarm.get_by_text("Show on the map").click()
    node = page.locator('button[data-task="worker/1"][data-alarm="hang"]')
    node.wait_for(state="attached")
    assert "hangs" in str(node.get_attribute("aria-label"))
    torch_run.update(hang=None)
    alarm.wait_for(state="detached")
    assert not page.title().startswith("⚠")


def test_a_failure_shows_its_exception(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    page.get_by_text("no problem found").wait_for()
    torch_run.fail("worker/2", None, 1)
    frame = {"file": "/w/train.py", "line": 7, "function": "step", "source": "loss = f(x)"}
    exception = {"line": "ValueError: bad batch", "message": ["ValueError: bad batch"],
                 "frame": frame, "root": None}  # fmt: skip
    first = {"task": "worker/2", "time": time.time(), "exit_code": 1, "signal": None,
             "words": "exited with code 1", "reason": None, "cause": None,
             "lines": ["closing"], "exception": exception}  # fmt: skip
    torch_run.update(first_failure=first, outcome="failed")
    torch_run.end("failed", "worker/2 exited with code 1")
    page.locator(".strip[data-tone=alarm]").get_by_text("bad batch").wait_for()
    evidence = page.locator(".evidence")
    assert "ValueError: bad batch" in evidence.get_by_label("Exception").inner_text()
    assert "closing" in evidence.get_by_label("Last lines").inner_text()
    assert page.title().startswith("⚠ failed · resnet")
    page.keyboard.press("2")
    page.locator('button[data-task="worker/2"][data-alarm="failed"]').wait_for(state="attached")


def test_empty_panels_say_how_to_fill_them(make_run: MakeRun, look: Look) -> None:
    run = make_run({"worker": 2}, framework="torch")
    page = look(run)
    for title in ("Progress", "Step rate per rank", "Curves"):
        panel(page, title).get_by_text("tenfold.progress(step, steps, loss=loss.item())").wait_for()
    panel(page, "Curves").get_by_text("SummaryWriter").wait_for()


def test_the_facts_of_the_run_are_shown(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    facts = panel(page, "This run")
    for words in ("/tmp/tenfold.yaml", "python train.py", "torch", "local", "here", "none yet",
                  str(torch_run.directory.path)):  # fmt: skip
        facts.get_by_text(words, exact=True).first.wait_for()


def test_a_thousand_ranks_are_grouped(make_run: MakeRun, look: Look) -> None:
    run = make_run({"worker": 1000}, framework="torch")
    for number, name in enumerate(run.names):
        rate = 2.0 if number == 700 else 20.0
        run.progress(name, 100, 1000, unit="steps", rate=rate, loss=1.0)
        run.usage(name, at=run.began + 30)
    run.end("stopped")
    page = look(run)
    page.locator(".rank-strip:visible").wait_for()
    page.locator('.ranks li[data-task="worker/700"]').wait_for()
    assert page.locator(".ranks li").count() < 20
    panel(page, "CPU, cores").get_by_text("Each row is the mean of").wait_for()
    assert page.locator("main *").count() < 1500, "a thousand tasks are not a thousand rows"


def test_every_view_links_its_documentation(torch_run: FakeRun, look: Look) -> None:
    page = look(torch_run)
    for number in range(1, page.locator(".tab").count() + 1):
        page.keyboard.press(str(number))
        link = page.locator("#about a")
        about = page.locator("#about p").inner_text()
        assert len(about) > 40
        with page.context.expect_page() as opened:
            link.click()
        opened.value.locator("h1").wait_for()
        opened.value.close()


def test_log_lines_wrap_on_a_phone(torch_run: FakeRun, look: Look) -> None:
    torch_run.log("worker/0", "x" * 300, "the end")
    page = look(torch_run, "logs", viewport=PHONE)
    page.get_by_text("the end").wait_for()
    long = page.locator(".log-line", has_text="xxx").bounding_box()
    end = page.locator(".log-line", has_text="the end").bounding_box()
    assert long
    assert end
    assert long["width"] <= PHONE["width"]
    assert long["height"] > 100, "it wraps"
    assert end["y"] == pytest.approx(long["y"] + long["height"], abs=1), "no line covers another"


def test_all_scripts_are_loaded_at_once() -> None:
    told = set(
        re.findall(r'modulepreload" href="static/(\S+?)"', (STATIC / "index.html").read_text())
    )
    assert told == {path.name for path in STATIC.glob("*.js")} - {"app.js"}
