"""TensorBoard and Jupyter as tasks of a real run: reached with the token, not without."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import psutil
import pytest

from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads

from .strangers import UPGRADE, ask, jupyter_routes, shown, tensorboard_routes

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


OPEN = {("GET", path, 200) for path in ("login", "logout", "favicon.ico", "api")}
"""What JupyterLab shows to anybody: how to get in, and its version."""


def strangers_are_refused(url: str, token: str, directory: str) -> None:
    """By every route and method of JupyterLab, sockets included; `url` ends with a slash."""
    paths = jupyter_routes(directory)
    assert len(paths) > 40
    assert {"api/kernels/a-a-a-a-a/channels", "terminals/websocket/a"} <= {*paths}
    assert {*shown(url, paths, {"Authorization": "token wrong"})} <= OPEN
    assert {*shown(url, paths, UPGRADE, ["GET"])} <= OPEN
    known = {"Authorization": f"token {token}"}
    assert ask(f"{url}api/contents", headers=known)[0] == 200
    for foreign in ({"Host": "evil.example"}, {"Host": "localhost.evil.example"}):
        assert {*shown(url, paths, known | foreign, ["GET", "POST"])} <= set()
    _, _, cookies = ask(f"{url}lab?token={token}")
    (ours,) = [cookie for cookie in cookies if cookie.startswith("username-")]
    assert "httponly" in ours.lower()
    assert "samesite=strict" in ours.lower()
    assert token not in ours
    cookie = {"Cookie": ours.partition(";")[0]}
    assert ask(f"{url}api/contents", headers=cookie)[0] == 200
    for origin in ("http://evil.example", "null", url.replace("127.0.0.1", "localhost")[:-1]):
        from_there = cookie | {"Origin": origin}
        assert ask(f"{url}api/events/subscribe", headers=from_there | UPGRADE)[0] == 403
        assert ask(f"{url}api/contents", headers=from_there)[0] == 404
    assert ask(f"{url}api/contents", headers=cookie | {"Origin": url[:-1]})[0] == 200


def the_board_shows_strangers_nothing(url: str, token: str, directory: str) -> None:
    """By any route and method of TensorBoard, its plugins' included; `url` ends with a slash."""
    paths = tensorboard_routes(directory)
    assert len(paths) > 40
    assert {"", "data/runs", "data/plugin/scalars/tags"} <= {*paths}
    assert {*shown(url, paths, {})} == set()
    assert {*shown(url, paths, {"Cookie": "token=wrong", "Authorization": "token wrong"})} == set()
    _, _, cookies = ask(f"{url}?token={token}")
    known = {"Cookie": cookies[0].partition(";")[0]}
    assert ask(f"{url}data/runs", headers=known)[0] == 200
    assert {*shown(url, paths, known | {"Host": "evil.example"}, ["GET"])} == set()
    assert {*shown(url, paths, known | {"Origin": "http://evil.example"}, ["GET"])} == set()


def test_pages_are_behind_their_tokens(runs: Path, tmp_path: Path) -> None:
    run = up(planned(loads(TEXT, directory=tmp_path)), runs=runs)
    status = run.wait(90, for_state=("running",))
    urls = {task["job"]: task["url"] for task in status["tasks"]}
    assert urls["tensorboard"].startswith("http://127.0.0.1:")
    assert "tensorboard" in fetch(urls["tensorboard"]).lower()
    assert refusal(urls["tensorboard"].partition("?")[0]) == 401
    assert "JupyterLab" in fetch(urls["jupyter"])
    bare = urls["jupyter"].partition("?")[0]
    assert refusal(f"{bare}api/contents") == 403
    strangers_are_refused(bare, urls["jupyter"].partition("token=")[2], str(tmp_path))
    board_url, _, token = urls["tensorboard"].partition("?token=")
    the_board_shows_strangers_nothing(board_url, token, str(tmp_path))
    for job in ("tensorboard", "jupyter"):
        token = urls[job].partition("token=")[2]
        assert len(token) >= 22
        assert run.directory.task(f"{job}-0").token.stat().st_mode & 0o777 == 0o600
        pid = next(task["pid"] for task in status["tasks"] if task["job"] == job)
        assert token not in Path(f"/proc/{pid}/cmdline").read_text()
    board = next(task["pid"] for task in status["tasks"] if task["job"] == "tensorboard")
    libraries = Path(f"/proc/{board}/maps").read_text()
    assert not {"jaxlib", "sklearn", "matplotlib"} & {*re.findall(r"\w+", libraries)}
    family = [psutil.Process(board), *psutil.Process(board).children(recursive=True)]
    heard = [c for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN]
    assert len(heard) == 1, "only the guarded page listens"
    assert run.stop(timeout_s=60)["state"] == "stopped"
