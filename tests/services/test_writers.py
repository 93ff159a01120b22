"""Tasks that write event files into one directory, as TensorBoard and the page show them."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads
from tenfold.views.training import TrainingReader
from tests.conftest import wait_for

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: make test brings it")

TEXT = f"""
cluster: writers
jobs: {{worker: {{run: {sys.executable} write.py, tasks: 2}}}}
tensorboard: true
"""
WRITE = """
import os, pathlib, time
import tensorboard.summary
rank = int(os.environ["TENFOLD_TASK"].partition("/")[2])
home = pathlib.Path(os.environ["TENFOLD_RUN_DIRECTORY"]) / "tensorboard" / "train"
writer = tensorboard.summary.Writer(str(home))
for step in range(rank, 70, 2):
    writer.add_scalar("loss", 1 / (1 + step), step)
    writer.flush()
    while step == 10 + rank and not pathlib.Path("go-on").exists():
        time.sleep(0.1)
pathlib.Path(f"written-{rank}").touch()
time.sleep(600)
"""


def test_every_point_of_every_rank_is_shown(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "write.py").write_text(WRITE)
    run = up(planned(loads(TEXT, directory=tmp_path)), runs=runs)
    status = run.wait(90, for_state=("running",))
    url = next(task["url"] for task in status["tasks"] if task["job"] == "tensorboard")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.open(url, timeout=20).close()
    scalars = f"{url.partition('?')[0]}data/plugin/scalars/scalars?run=train&tag=loss"

    def board() -> list[int]:
        try:
            with opener.open(scalars, timeout=20) as answer:
                return sorted(step for _, step, _ in json.load(answer))
        except urllib.error.HTTPError:  # there is no such tag yet
            return []

    wait_for(lambda: board() == list(range(12)), 90)
    (tmp_path / "go-on").touch()
    wait_for(lambda: all((tmp_path / f"written-{n}").exists() for n in range(2)), 30)
    wait_for(lambda: board() == list(range(70)), 90)
    shown = TrainingReader(run.directory).read()["runs"]
    (curve,) = next(one["tags"] for one in shown if one["name"] == "train")
    assert curve["steps"] == list(range(70))
    run.stop(timeout_s=60)
