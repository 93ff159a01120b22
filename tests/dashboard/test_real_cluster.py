"""The cluster of the talk, really training, in a real browser; and the pictures of the README.

Pictures are kept in docs/pictures with TENFOLD_TEST_WRITE=1. Nothing here says how fast a thing
has to be; how long it took goes into the test's properties (`--junit-xml`) and onto the terminal.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenfold.bringup.api import Run, planned, up
from tenfold.cluster.file import load
from tests.conftest import survivors, wait_for
from tests.engines.browser import NewPage

from .served import Dashboard, served

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
WRITE = bool(os.environ.get("TENFOLD_TEST_WRITE"))

SERVERS, WORKERS = (4, 8) if WRITE else (2, 3)
"""The pictures show the example as it is; the tests train on fewer tasks, beside other tests."""
TASKS = [
    "chief/0",
    *(f"ps/{n}" for n in range(SERVERS)),
    *(f"worker/{n}" for n in range(WORKERS)),
]
EDGES = [
    *(("chief/0", f"ps/{n}") for n in range(SERVERS)),
    *(("chief/0", f"worker/{n}") for n in range(WORKERS)),
    *((f"worker/{n}", f"ps/{m}") for n, m in itertools.product(range(WORKERS), range(SERVERS))),
]
UP_LIMIT_S = 120.0
LOOK_LIMIT_MS = 120_000
"""For everything on a page: the tasks train on the same cores."""
POINTS = 25


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """word2vec on a small text, over and over: it trains for as long as the tests need it.

    Nothing of it is waited for: the first test looks on as it comes up.
    """
    home = tmp_path_factory.mktemp("real").resolve()
    (home / "text.txt").write_text(text(200_000))
    file = load(
        ROOT / "examples" / "word2vec" / "tenfold.yaml",
        settings=[
            f"vars.corpus={home / 'text.txt'}",
            *("vars.epochs=1000", "vars.min_count=1", "jupyter=false"),
            *(f"jobs.ps.tasks={SERVERS}", f"jobs.worker.tasks={WORKERS}"),
        ],
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TMPDIR", str(home))  # what tasks that are killed leave
        run = up(planned(file), runs=home / "runs", attached=True)
    try:
        yield run
    finally:
        run.stop(kill=True, timeout_s=60)
        wait_for(lambda: not survivors(home / "runs"), 10)


def text(words: int) -> str:
    """Sentences of made-up words about 16 topics: enough words for a shard on every server, and
    something to learn."""
    chance = random.Random(7)
    letters = "abcdefghijklmnop"
    topics = [["".join((a, b, c)) for b in letters for c in letters] for a in letters]
    return "\n".join(
        " ".join(chance.choices(chance.choice(topics), k=20)) for _ in range(words // 20)
    )


@pytest.fixture(scope="module")
def board(cluster: Run) -> Iterator[Dashboard]:
    """The dashboard of that cluster."""
    with served(cluster.directory.path.parents[1]) as started:
        yield started


@pytest.fixture
def open_view(cluster: Run, board: Dashboard, new_page: NewPage) -> Callable[..., Page]:
    """Opens a view of the cluster, in a window as large as the README's pictures."""

    def make(view: str) -> Page:
        page = new_page(viewport={"width": 1200, "height": 780}, color_scheme="light")
        run = f"{cluster.directory.cluster}/{cluster.directory.run}"
        page.set_default_timeout(LOOK_LIMIT_MS)
        page.goto(f"{board.welcome}#/{run}/{view}", wait_until="commit")
        page.wait_for_selector(f"main[data-view={view}]")
        return page

    return make


SILENT = """(edges) => {
  const live = new Set();
  for (const { dataset } of document.querySelectorAll("[data-bytes][data-mark='as planned']")) {
    if (Number(dataset.bytes) > 0) live.add([dataset.from, dataset.to].sort().join());
  }
  return edges.filter((edge) => !live.has([...edge].sort().join()));
}"""
"""Of these edges, those that are not marked as live."""


def wait_live(page: Page) -> None:
    """Until every planned edge has carried bytes; fails with those that did not."""
    deadline = time.monotonic() + UP_LIMIT_S
    while silent := page.evaluate(SILENT, EDGES):
        assert time.monotonic() < deadline, silent
        page.wait_for_timeout(200)


def test_the_map_shows_all_tasks_and_its_edges_go_live(open_view: Callable[..., Page]) -> None:
    page = open_view("map")
    for task in TASKS:
        page.wait_for_selector(f'[data-task="{task}"]', state="attached")
    seen = set(page.locator("tr[data-mark]").evaluate_all("rows => rows.map(r => r.dataset.mark)"))
    assert "silent" in seen, "the page came too late to see that nobody talks yet"
    wait_live(page)
    for task in TASKS:
        page.wait_for_selector(f'[data-task="{task}"][data-state="running"]', state="attached")


def test_pictures_for_the_readme(
    open_view: Callable[..., Page], board: Dashboard, cluster: Run, tmp_path: Path
) -> None:
    page = open_view("overview")
    page.wait_for_selector("figure.chart canvas")
    if WRITE:
        wait_for(lambda: points(board, cluster) > POINTS, 120)
        page.wait_for_timeout(6000)
    keep(page, "overview", tmp_path)
    page = open_view("map")
    wait_live(page)
    page.wait_for_timeout(3000)  # edges are as wide as their rate, which takes two samples
    keep(page, "map", tmp_path)
    page = open_view("logs")
    page.wait_for_selector(".log-line")
    keep(page, "logs", tmp_path)
    page = open_view("training")
    page.wait_for_selector("figure.chart canvas")
    if WRITE:  # a curve is nicer than a few points
        wait_for(lambda: points(board, cluster) > POINTS, 120)
        page.wait_for_timeout(6000)  # the view asks every five seconds
    keep(page, "training", tmp_path)


def points(board: Dashboard, cluster: Run) -> int:
    """How many points the longest curve has."""
    run = f"{cluster.directory.cluster}/{cluster.directory.run}"
    runs = board.get(f"api/runs/{run}/training")["runs"]
    return max((len(tag["steps"]) for run in runs for tag in run["tags"]), default=0)


def keep(page: Page, name: str, place: Path) -> None:
    """Take a picture of what is seen; it has to show more than an empty page."""
    path = (PICTURES if WRITE else place) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    assert colours(path) > 40, f"{path} is an empty page"


def colours(path: Path) -> int:
    """How many different colours a picture has."""
    from PIL import Image

    with Image.open(path) as picture:
        return len(picture.convert("RGB").getcolors(1 << 24) or ())


WATCH = """(task) => {
  const seen = (window.seen = []);
  const look = () => {
    const state = document.querySelector(`[data-task="${task}"]`)?.dataset.state;
    if (state !== seen.at(-1)?.state) seen.push({ state, time: Date.now() / 1000 });
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, attributes: true,
  });
  look();
}"""


def test_killing_a_worker_shows(
    open_view: Callable[..., Page], cluster: Run, record_property: Callable[[str, object], None]
) -> None:
    page = open_view("map")
    wait_live(page)
    name = "worker/2"
    page.wait_for_selector(f'[data-task="{name}"][data-state="running"]', state="attached")
    page.evaluate(WATCH, name)
    before = next(task for task in cluster.status()["tasks"] if task["task"] == name)
    killed = time.time()
    os.kill(before["pid"], signal.SIGKILL)

    page.wait_for_function("() => seen.some(({state}) => state !== 'running')")
    page.wait_for_function("() => seen.at(-1).state === 'running'")
    seen = page.evaluate("seen")
    took = next(one["time"] for one in seen if one["state"] != "running") - killed
    record_property("a killed worker shows after, in s", round(took, 2))
    print(f"a killed worker shows after {took:.2f} s: {[one['state'] for one in seen]}")
    page.goto(page.url.replace("/map", "/tasks"))
    row = page.locator(f'[data-task="{name}"]', has_text="SIGKILL").or_(
        page.locator(f'[data-task="{name}"]', has_text=str(before["restarts"] + 1))
    )
    row.first.wait_for()
