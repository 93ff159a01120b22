"""The page, in a real browser, on runs that nothing runs.

Every test also fails for an error in the browser's console, for an exception, for anything the
content security policy refused, and for a request to anywhere else: `tests.engines.browser`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenfold.dashboard.app import STATIC
from tenfold.views.why import account
from tests.base.test_quantities import AMOUNTS, DURATIONS
from tests.engines.browser import Faults, NewPage

from .conftest import MakeRun
from .fake_runs import FakeRun
from .served import Dashboard, served

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

VIEWS = tuple(re.findall(r'{ name: "(\w+)"', (STATIC / "views.js").read_text()))
THOUSAND = {"chief": 1, "ps": 19, "worker": 980}
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def full_run(demo_run: FakeRun) -> FakeRun:
    """A run of which there is something to see in every view."""
    demo_run.flow()
    demo_run.placement()
    demo_run.progress("chief/0", 40, 100, loss=2.31, epoch="1/3")
    demo_run.scalars("loss", [3.0 / (n + 1) for n in range(50)])
    demo_run.scalars("words per second", [500_000.0 + n for n in range(50)])
    demo_run.talk("worker/2", "outside:203.0.113.9", 1000, 2000)
    demo_run.tell("worker/2")
    demo_run.fail("worker/7")
    demo_run.restart("worker/7")
    demo_run.log("worker/7", "step 12", "WARNING: slow", "ERROR: out of cheese", stream="stderr")
    return demo_run


@pytest.fixture
def board(place: Path) -> Iterator[Dashboard]:
    """The dashboard of this test's runs."""
    with served(place) as started:
        yield started


Look = Callable[..., "Page"]


@pytest.fixture
def look(board: Dashboard, new_page: NewPage) -> Look:
    """Opens a view of a run; the rest are options of `new_page`."""

    def make(run: FakeRun, view: str = "map", **options: Any) -> Page:
        page = new_page(**options)
        page.goto(f"{board.welcome}#/{run.key}/{view}")
        shown(page, view)
        return page

    return make


def shown(page: Page, view: str) -> Locator:
    """The view, once it is there."""
    found = page.locator(f"main[data-view={view}]")
    found.wait_for()
    return found


def node(page: Page, task: str, state: str) -> Locator:
    """A task on the map, once it is in this state."""
    found = page.locator(f'button[data-task="{task}"][data-state="{state}"]')
    found.first.wait_for(state="attached")
    return found.first


def lines(page: Page) -> list[str]:
    """Lines that the log view has on the screen."""
    return page.locator(".log-line").all_inner_texts()


def test_the_token_is_asked_for_once(
    demo_run: FakeRun, board: Dashboard, new_page: NewPage, faults: Faults
) -> None:
    faults.expect("401")
    page = new_page()
    answer = page.goto(board.url)
    assert answer
    assert answer.status == 401
    assert "tenfold open" in page.inner_text("body")

    page.goto(board.welcome)
    page.get_by_text("no problem found").wait_for()
    assert board.token not in page.url
    assert board.token not in page.content()
    page.goto(board.url)
    page.get_by_text("no problem found").wait_for()
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert demo_run.directory.run in page.url, "the newest run is shown"


def test_every_view_has_what_it_is_for(full_run: FakeRun, look: Look) -> None:
    page = look(full_run)
    for number, (view, words) in enumerate(
        {
            "overview": "no problem found",
            "map": "203.0.113.9",
            "tasks": "worker/7",
            "logs": "out of cheese",
            "training": "loss",
            "placement": "table",
            "events": "SIGKILL",
            "runs": full_run.directory.run,
        }.items(),
        1,
    ):
        page.keyboard.press(str(number))
        shown(page, view).get_by_text(words).first.wait_for(state="attached")
    page.reload()
    shown(page, "runs")


def test_changes_appear_without_a_reload(demo_run: FakeRun, look: Look) -> None:
    page = look(demo_run)
    edge = page.locator('tr[data-from="ps/0"][data-to="worker/0"][data-mark="as planned"]')
    edge.wait_for(state="attached")
    before = int(edge.get_attribute("data-bytes") or 0)
    demo_run.fail("worker/3")
    node(page, "worker/3", "failed")
    demo_run.restart("worker/3")
    node(page, "worker/3", "running")
    demo_run.flow()
    page.wait_for_function(
        "([edge, before]) => edge.dataset.bytes > before", arg=[edge.element_handle(), before]
    )


def test_a_task_can_be_selected_with_the_keyboard(full_run: FakeRun, look: Look) -> None:
    page = look(full_run)
    node(page, "worker/7", "running").focus()
    page.keyboard.press("Enter")
    page.locator(".detail").get_by_text("out of cheese").wait_for()
    page.keyboard.press("Escape")
    page.locator(".detail").wait_for(state="hidden")


def test_tabs_are_reached_with_the_keyboard(demo_run: FakeRun, look: Look) -> None:
    page = look(demo_run)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.view") == "events":
            break
    page.keyboard.press("Enter")
    shown(page, "events")


def test_log_lines_are_filtered_by_text_and_regex(
    full_run: FakeRun, look: Look, faults: Faults
) -> None:
    faults.expect("status of 400")  # the answer to a pattern that is none
    full_run.log("worker/1", *(f"step {n} loss {n / 7:.3f}" for n in range(50)))
    page = look(full_run, "logs")
    page.get_by_text("step 49 loss").wait_for()
    search = page.get_by_role("searchbox")
    search.fill("OUT OF cheese")
    wait_lines(page, lambda found: len(found) == 1 and "out of cheese" in found[0])
    page.get_by_label("regex").check()
    search.fill(r"step [34]\d loss")
    wait_lines(page, lambda found: len(found) == 20)
    search.fill("step [")
    page.get_by_text("missing ]", exact=False).or_(page.locator(":invalid")).first.wait_for()
    search.fill("")
    page.get_by_label("Level").select_option("error")
    wait_lines(page, lambda found: len(found) == 1 and "out of cheese" in found[0])


def wait_lines(page: Page, good: Callable[[list[str]], bool]) -> None:
    """Until the lines on the screen are `good`."""
    found: list[str] = []
    for _ in range(100):
        found = lines(page)
        if good(found):
            return
        page.wait_for_timeout(100)
    raise AssertionError(found)


HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\x1b]0;title\x07\x1b[31mred\x1b[0m",
    "‮ right to left",
    "a\x00b",
)


def test_hostile_output_is_shown_as_text(demo_run: FakeRun, look: Look) -> None:
    demo_run.log("worker/1", *HOSTILE)
    demo_run.event("note", message=HOSTILE[0], hint=HOSTILE[1])
    demo_run.update(reason=HOSTILE[1])
    demo_run.progress("chief/0", 1, 2, loss=HOSTILE[0])
    demo_run.set("worker/1", host=HOSTILE[0], url="javascript:window.hacked=1")
    page = look(demo_run, "logs")
    page.get_by_text(HOSTILE[0]).first.wait_for()
    page.get_by_text(HOSTILE[1]).first.wait_for()
    for view in VIEWS:
        page.goto(re.sub(r"[^/]+$", view, page.url))
        shown(page, view)
    page.goto(re.sub(r"[^/]+$", "map", page.url))
    node(page, "worker/1", "running").press("Enter")
    page.locator(".detail").get_by_text(HOSTILE[0]).first.wait_for()
    assert page.evaluate("window.hacked") is None
    assert page.locator("a[href^=javascript]").count() == 0


def test_following_stops_when_scrolled_up(demo_run: FakeRun, look: Look) -> None:
    demo_run.log("worker/1", *(f"old {n}" for n in range(2000)))
    page = look(demo_run, "logs")
    page.get_by_text("old 1999", exact=True).wait_for()
    demo_run.log("worker/1", "new 1")
    page.get_by_text("new 1", exact=True).wait_for()

    page.get_by_text("new 1", exact=True).hover()
    page.mouse.wheel(0, -3000)
    page.get_by_text("new 1", exact=True).wait_for(state="detached")
    before = lines(page)
    demo_run.log("worker/1", *(f"new {n}" for n in range(2, 100)))
    page.wait_for_timeout(2500)  # longer than a follower waits
    assert lines(page) == before

    page.keyboard.press("f")
    page.get_by_text("new 99", exact=True).wait_for()
    assert page.locator(".log-line").count() < 500, "only what is seen is in the page"


def test_a_run_that_dies_is_shown_as_dead(demo_run: FakeRun, look: Look) -> None:
    page = look(demo_run)
    node(page, "worker/3", "running")
    demo_run.kill()
    node(page, "worker/3", "lost")
    page.get_by_text("its supervisor was killed").first.wait_for()
    page.reload()
    page.get_by_text("its supervisor was killed").first.wait_for()


def test_the_headline_of_a_failure_is_that_of_why_in_every_view(
    demo_run: FakeRun, look: Look, tmp_path: Path
) -> None:
    demo_run.fail("worker/3", None, 1)
    demo_run.fail("worker/7", None, 1)
    frame = {"file": "/w/train.py", "line": 7, "function": "step", "source": "loss = f(x)"}
    exception = {"line": "ValueError: bad batch", "message": ["ValueError: bad batch", "of 3"],
                 "frame": frame, "root": None}  # fmt: skip
    words = "exited with code 1"
    first = {"task": "worker/3", "time": time.time(), "exit_code": 1, "signal": None,
             "words": words, "reason": None, "cause": None, "lines": ["closing 1", "closing 2"],
             "exception": exception}  # fmt: skip
    demo_run.update(first_failure=first, outcome="failed")
    demo_run.end("failed", f"worker/3 {words}")
    headline = account(demo_run.directory).headline
    assert headline.startswith(
        'word2vec failed: worker/3 exited with code 1: it says "ValueError: bad batch" '
        "(/w/train.py:7 in step)"
    )
    page = look(demo_run, "tasks")
    page.locator(".strip-words", has_text=headline).wait_for()
    row = page.locator('tr[data-first="true"]')
    row.wait_for()
    assert row.get_attribute("data-task") == "worker/3"
    assert page.locator(".first-mark").all_inner_texts() == ["first failure"]
    page.screenshot(path=tmp_path / "tasks.png")
    page.keyboard.press("7")
    page.locator(".failure .headline", has_text=headline).wait_for()
    shown_exception = page.get_by_label("Exception").inner_text()
    assert shown_exception.splitlines()[0] == "/w/train.py:7"
    assert "of 3" in shown_exception
    page.screenshot(path=tmp_path / "events.png")
    page.keyboard.press("8")
    page.locator("td", has_text='it says "ValueError: bad batch"').first.wait_for()
    page.keyboard.press("2")
    page.get_by_text("worker/3, first").wait_for()


def test_an_old_status_is_not_shown_as_current(demo_run: FakeRun, look: Look) -> None:
    page = look(demo_run)
    demo_run.update(updated=demo_run.began)
    page.get_by_text("has not updated this run for").wait_for()


def test_the_dashboards_end_shows(
    demo_run: FakeRun, place: Path, new_page: NewPage, faults: Faults
) -> None:
    faults.expect("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING")
    page = new_page()
    with served(place) as board:
        page.goto(f"{board.welcome}#/{demo_run.key}/map")
        node(page, "worker/3", "running")
    page.get_by_text("does not respond").wait_for()


def test_two_runs_are_compared(make_run: MakeRun, look: Look) -> None:
    first, second = make_run(env={"RATE": "0.025"}), make_run(env={"RATE": "0.05"})
    for run, loss in ((first, 2.5), (second, 1.5)):
        run.progress("chief/0", 100, 100, loss=loss)
        run.end("succeeded")
    page = look(second, "runs")
    boxes = page.locator("main input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare").click()
    for words in ("0.025", "0.05", "2.5", "1.5"):
        page.locator("main").get_by_text(words, exact=True).first.wait_for()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(full_run: FakeRun, look: Look, width: int) -> None:
    page = look(full_run, viewport=PHONE | {"width": width})
    for number, view in enumerate(VIEWS, 1):
        page.keyboard.press(str(number))
        shown(page, view)
        page.wait_for_timeout(300)  # what it shows comes later
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= width, view


def test_dark_and_light(demo_run: FakeRun, look: Look) -> None:
    brightness = """() => {
      const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g);
      return (Number(r) + Number(g) + Number(b)) / 3;
    }"""
    dark = look(demo_run, color_scheme="dark")
    assert dark.evaluate(brightness) < 60
    light = look(demo_run, color_scheme="light")
    assert light.evaluate(brightness) > 200
    for _ in range(2):
        light.keyboard.press("t")  # as the system, light, dark
    assert light.evaluate(brightness) < 60
    light.reload()
    assert light.evaluate(brightness) < 60


@pytest.mark.parametrize(
    "jobs", [{"chief": 1, "ps": 9, "worker": 290}, THOUSAND], ids=["300", "1,000"]
)
def test_the_page_shows_many_tasks(make_run: MakeRun, look: Look, jobs: dict[str, int]) -> None:
    run = make_run(jobs)
    run.flow()
    page = look(run)
    last = f"worker/{jobs['worker'] - 1}"
    node(page, last, "running")
    run.fail(last)
    node(page, last, "failed")
    run.flow()
    page.keyboard.press("3")
    shown(page, "tasks").get_by_text("worker/0", exact=True).first.wait_for()
    page.keyboard.press("4")
    page.get_by_text("is up").first.wait_for()


DAMAGED = (
    ("plan.json", "cut"),
    ("plan.json", "missing"),
    ("status.json", "garbage"),
    ("events.jsonl", "garbage"),
    ("events.jsonl", "missing"),
    ("tasks/worker-1/status.json", "cut"),
    ("tasks/worker-2/traffic.jsonl", "cut"),
    ("tasks/worker-3/traffic.jsonl", "garbage"),
    ("tasks/worker-3/usage.jsonl", "garbage"),
    ("tasks/worker-4/stdout.times", "garbage"),
    ("tasks/worker-5", "missing"),
    ("tasks/chief-0/placement.json", "cut"),
    ("tasks/chief-0/progress.json", "garbage"),
    ("tasks/worker-6/stdout.log", "directory"),
)


def test_damaged_files_break_no_view(full_run: FakeRun, look: Look) -> None:
    page = look(full_run)
    node(page, "worker/3", "running")
    for path, how in DAMAGED:
        full_run.damage(path, how)  # type: ignore[arg-type]
    for _ in range(2):
        for number, view in enumerate(VIEWS, 1):
            page.keyboard.press(str(number))
            shown(page, view)
            page.wait_for_timeout(200)
        page.reload()
        shown(page, "runs")


def test_the_page_writes_bytes_and_durations_as_the_terminal_does(
    look: Look, full_run: FakeRun
) -> None:
    page = look(full_run)
    written = page.evaluate(
        """async ([seconds, counts]) => {
          const { bytes, duration } = await import("/static/format.js");
          return [seconds.map(duration), counts.map(bytes)];
        }""",
        [list(DURATIONS), list(AMOUNTS)],
    )
    assert written == [list(DURATIONS.values()), list(AMOUNTS.values())]


def test_the_newest_text_of_a_bar_is_below_the_lines(demo_run: FakeRun, look: Look) -> None:
    demo_run.log("worker/1", "it begins")
    page = look(demo_run, "logs")
    page.get_by_text("it begins", exact=True).wait_for()
    bars = page.get_by_label("Unfinished lines")
    for n in (10, 20):
        demo_run.write("worker/1", f"\r {n}%|#  | {n}/100\x1b[2J<b>".encode())
        bars.get_by_text(f" {n}%|#  | {n}/100<b>").wait_for()
    assert page.locator(".log-lines").get_by_text("%|#").count() == 0
    demo_run.write("worker/1", b"\r100%|###| 100/100\n")
    bars.wait_for(state="hidden")
    page.locator(".log-lines").get_by_text("100%|###| 100/100").wait_for()
