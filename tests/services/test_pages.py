"""TensorBoard and Jupyter as tasks of a real run: reached with the token, not without."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import psutil
import pytest

from tenfold.api import planned, up
from tenfold.file import loads

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: make test brings it")
pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: make test brings it")

TEXT = """
cluster: pages
jobs: {chief: {run: sleep 600}}
tensorboard: true
jupyter: true
"""


def fetch(url: str) -> str:
    """The page at `url`, cookies kept over redirects."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(url, timeout=20) as answer:
        return str(answer.read().decode())


def refusal(url: str) -> int:
    """The status of a page that is not shown; 200 would be shown."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_pages_are_behind_their_tokens(runs: Path, tmp_path: Path, isolation: str) -> None:
    run = up(planned(loads(TEXT, directory=tmp_path)), runs=runs, isolation=isolation)
    status = run.wait(90, for_state=("running",))
    urls = {task["job"]: task["url"] for task in status["tasks"]}
    assert urls["tensorboard"].startswith("http://127.0.0.1:")
    assert "tensorboard" in fetch(urls["tensorboard"]).lower()
    assert refusal(urls["tensorboard"].partition("?")[0]) == 401
    assert "JupyterLab" in fetch(urls["jupyter"])
    bare = urls["jupyter"].partition("?")[0]
    assert refusal(f"{bare}api/contents") == 403
    for job in ("tensorboard", "jupyter"):
        token = urls[job].partition("token=")[2]
        assert len(token) >= 22
        assert run.directory.task(f"{job}-0").token.stat().st_mode & 0o777 == 0o600
        pid = next(task["pid"] for task in status["tasks"] if task["job"] == job)
        assert token not in Path(f"/proc/{pid}/cmdline").read_text()
    board = next(task["pid"] for task in status["tasks"] if task["job"] == "tensorboard")
    family = [psutil.Process(board), *psutil.Process(board).children(recursive=True)]
    heard = [c for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(heard) == 1, "only the guarded page listens"
    assert run.stop(timeout_s=30)["state"] == "stopped"
