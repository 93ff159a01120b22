"""How fast the dashboard is with many tasks and long logs, and what it costs to look.

    python bench/dashboard.py [--quick] [--json FILE] [--repeats N]

SIMULATED: the clusters. Their run directories are made by the tests' `fake_runs`, and are written
to once a second as a real supervisor would: usage and traffic of every task. REAL: the dashboard's
process, and Debian's Chromium, headless, that looks at it. What is measured:

- first page: from the address to the overview with every task's state and the progress, and to the
  map with every task drawn, in a browser that knows nothing;
- one update, in which a task or everything changes: what the dashboard's process computes (CPU),
  and what the page does to apply and draw it; and when a task's new state is on the page;
- CPU of the dashboard's process while one page looks on, as a share of one core, and with nobody;
- a log opened at its end: the answer, and the lines on the page; the process's peak memory.
"""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from measure import Bench, Case, Measured, arguments, run

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the tests' runs and browser are there

from tests.dashboard.fake_runs import FakeRun
from tests.dashboard.served import Dashboard, served
from tests.engines.browser import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

DRAWN = "count => window.tenfold?.tasks.size === count && tenfold.map.layout && tenfold.timing.draw"
"""The page knows all tasks and where they are, and has drawn since."""

PAINTED = """count => window.tenfold?.tasks.size === count && tenfold.timing.draw
  && document.querySelector(".percent")?.textContent"""
"""The overview knows all tasks, and shows how far they are."""

RECORD = """() => {
  window.updates = [];
  window.maps = 0;
  const { timing } = tenfold;
  let [apply, draw, sum, time] = [timing.apply, timing.draw, 0, tenfold.map.time];
  Object.defineProperty(timing, "apply", {
    get: () => apply,
    set: (took) => { apply = took; sum += took; },
  });
  Object.defineProperty(timing, "draw", {
    get: () => draw,
    set: (took) => {
      draw = took;
      updates.push(sum + took);
      maps += tenfold.map.time === time ? 0 : 1;
      [sum, time] = [0, tenfold.map.time];
    },
  });
}"""
"""From now on, keep what each drawing took, with all the news that it drew, in ms; count those that
drew another map."""

STATE = "([task, state]) => tenfold.tasks.get(task).state === state"

WIDE: ViewportSize = {"width": 1280, "height": 800}


@dataclass(frozen=True)
class Sizes:
    """How large things are; the short form has smaller ones."""

    tasks: int = 1000
    watched: int = 100
    log_mib: int = 1024
    seconds: float = 20.0


QUICK = Sizes(tasks=200, watched=100, log_mib=64, seconds=4.0)


def jobs(tasks: int) -> dict[str, int]:
    """A parameter server cluster of so many tasks: one in fifty is a ps, at least two."""
    ps = max(2, tasks // 50)
    return {"chief": 1, "ps": ps, "worker": tasks - ps - 1}


@contextmanager
def looked_at(home: Path, counts: dict[str, int]) -> Iterator[tuple[FakeRun, Dashboard]]:
    """A run, and a dashboard of it."""
    runs = home / "runs"
    try:
        with FakeRun(runs, counts) as fake, served(runs) as board:
            fake.flow()
            yield fake, board
    finally:
        shutil.rmtree(runs, ignore_errors=True)


def opened(
    browser: Browser, board: Dashboard, fake: FakeRun, view: str = "map"
) -> tuple[Page, float]:
    """A page of a browser that knows nothing, with a view drawn; how long that took, in ms."""
    page = browser.new_context(viewport=WIDE).new_page()
    page.goto(board.welcome + "&nothing=1#", wait_until="load")  # the tab keeps the token
    page.goto("about:blank")
    begun = time.perf_counter()
    page.goto(f"{board.url}#/{fake.key}/{view}", wait_until="commit")
    page.wait_for_function(DRAWN if view == "map" else PAINTED, arg=len(fake.names))
    return page, (time.perf_counter() - begun) * 1000


def first_page(home: Path, browser: Browser, tasks: int) -> Iterator[Measured]:
    """The overview and the map, in a fresh browser, and a second time."""
    with looked_at(home, jobs(tasks)) as (fake, board):
        report(fake, 1)
        for words in ("overview painted", "overview painted, the process warm"):
            page, took = opened(browser, board, fake, "overview")
            yield Measured(words, "ms", took)
            page.context.close()
        page, took = opened(browser, board, fake)
        yield Measured("map drawn", "ms", took)
        page.context.close()
        page, took = opened(browser, board, fake)
        yield Measured("map drawn, the process warm", "ms", took)
        page.context.close()
        yield Measured("memory", "MiB", board.memory_bytes() / 2**20)


def one_changes(home: Path, browser: Browser, tasks: int, seconds: float) -> Iterator[Measured]:
    """A task fails and runs again, and is looked for on the page; all others are quiet."""
    with looked_at(home, jobs(tasks)) as (fake, board):
        page, _ = opened(browser, board, fake)
        time.sleep(2.0)
        page.evaluate(RECORD)
        before, shown = cpu_s(board), []
        for turn in range(max(2, int(seconds))):
            state = "running" if turn % 2 else "failed"
            begun = time.perf_counter()
            fake.set("worker/0", state=state)
            page.wait_for_function(STATE, arg=["worker/0", state])
            shown.append((time.perf_counter() - begun) * 1000)
        server = (cpu_s(board) - before) * 1000 / len(shown)
        yield from _update(server, float(max(page.evaluate("updates"))))
        yield Measured("on the page after", "ms", median(shown))
        page.context.close()


def all_change(home: Path, browser: Browser, tasks: int, seconds: float) -> Iterator[Measured]:
    """Traffic and use of every task change each second; the map may be told less often."""
    with looked_at(home, jobs(tasks)) as (fake, board):
        page, _ = opened(browser, board, fake)
        live(fake, min(2.0, seconds))
        page.evaluate(RECORD)
        before = cpu_s(board)
        live(fake, seconds)
        server = (cpu_s(board) - before) * 1000 / max(1, page.evaluate("maps"))
        yield from _update(server, float(max(page.evaluate("updates"))))
        yield Measured("edges", "edges", page.evaluate("tenfold.map.edges.size"))
        page.context.close()


def _update(server: float, page: float) -> Iterator[Measured]:
    yield Measured("server", "ms", server)
    yield Measured("page, the longest", "ms", page)
    yield Measured("server + page", "ms", server + page)


def watching(
    home: Path, browser: Browser | None, tasks: int, seconds: float, view: str = "map"
) -> Iterator[Measured]:
    """The process's CPU while a page is open; without a `browser`, while nobody does."""
    with looked_at(home, jobs(tasks)) as (fake, board):
        report(fake, 1)
        page = opened(browser, board, fake, view)[0] if browser else None
        live(fake, min(2.0, seconds))
        before, begun = cpu_s(board), time.monotonic()
        live(fake, seconds)
        share = (cpu_s(board) - before) / (time.monotonic() - begun)
        if page:
            page.context.close()
    yield Measured("CPU of the dashboard", "% of a core", share * 100)


def long_log(home: Path, browser: Browser, mib: int) -> Iterator[Measured]:
    """A log, opened at its end: by a request, and on the page."""
    with looked_at(home, {"chief": 1, "worker": 2}) as (fake, board):
        last = fake.long_log("worker/1", mib << 20)
        begun = time.perf_counter()
        page_of_lines = board.logs(fake.key)
        yield Measured("answer", "ms", (time.perf_counter() - begun) * 1000)
        if not page_of_lines["lines"][-1]["text"].startswith(f"line {last:010d}"):
            raise RuntimeError("the last line is not the log's last")
        page, _ = opened(browser, board, fake)
        begun = time.perf_counter()
        page.goto(f"{board.url}#/{fake.key}/logs")
        page.get_by_text(f"line {last:010d}").first.wait_for()
        yield Measured("on the page", "ms", (time.perf_counter() - begun) * 1000)
        page.context.close()
        yield Measured("memory", "MiB", board.memory_bytes() / 2**20)


def live(fake: FakeRun, seconds: float) -> None:
    """Write what a second of all tasks would, once a second, for so long."""
    begun = time.monotonic()
    for turn in range(1, 1 + math.ceil(seconds)):
        fake.flow()
        report(fake, turn)
        for name in fake.names:
            fake.usage(name, cpu=0.5 + turn % 2)
        fake.update()
        time.sleep(max(0.0, begun + turn - time.monotonic()))


def report(fake: FakeRun, turn: int) -> None:
    """Every worker reports its progress."""
    for name in fake.names:
        if name.startswith("worker"):
            fake.progress(name, 20 * turn, 100_000, unit="steps", rate=20.0, loss=1 / turn)


def cpu_s(board: Dashboard) -> float:
    """Seconds of CPU that the dashboard's process has used."""
    times = psutil.Process(board.process.pid).cpu_times()
    return float(times.user + times.system)


def cases(home: Path, browser: Browser, sizes: Sizes) -> Iterable[Case]:
    """All that is measured."""
    many, watched = f"{sizes.tasks:,} tasks", f"{sizes.watched:,} tasks"
    log, seconds = f"a log of {sizes.log_mib:,} MiB", sizes.seconds
    yield Case(f"{many}: first page", lambda: first_page(home, browser, sizes.tasks))
    yield Case(f"{many}: a task changes", lambda: one_changes(home, browser, sizes.tasks, seconds))
    yield Case(
        f"{many}: everything changes", lambda: all_change(home, browser, sizes.tasks, seconds)
    )
    yield Case(
        f"{watched}: a page is open", lambda: watching(home, browser, sizes.watched, seconds)
    )
    yield Case(
        f"{watched}: the overview is open",
        lambda: watching(home, browser, sizes.watched, seconds, "overview"),
    )
    yield Case(f"{watched}: no page is open", lambda: watching(home, None, sizes.watched, seconds))
    yield Case(log, lambda: long_log(home, browser, sizes.log_mib))


def measure(bench: Bench) -> None:
    """Everything, in one Chromium."""
    if not shutil.which("chromium"):
        bench.leave_out("dashboard", "needs Chromium: apt-get install chromium")
        return
    with running() as browser:
        for case in cases(bench.home, browser, QUICK if bench.quick else Sizes()):
            bench.note(case.name, "the cluster is simulated: nothing but its files")
            bench.compare(case)


if __name__ == "__main__":
    sys.exit(run("dashboard", measure, arguments(__doc__).parse_args(), repeats=5))
