"""Every route of JupyterLab's and TensorBoard's servers, and what a stranger is told there.

The routes are asked of the program itself, so that one that a new version brings is tried.
"""

from __future__ import annotations

import http.client
import importlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

parser: Any = importlib.import_module("re._parser")
sre: Any = importlib.import_module("re._constants")

METHODS = ("GET", "POST", "PUT", "DELETE")

SILENT = {"/lab/api/licenses/a"}
"""Where JupyterLab 4.6 answers nobody, whether it knows them or not."""

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

_JUPYTER = """
import json, os, warnings
warnings.simplefilter("ignore")
from jupyterlab.labapp import LabApp
app = LabApp.initialize_server(argv=[
    "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
    "--Application.log_level=ERROR"])
def walk(router):
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from walk(rule.target)
        elif hasattr(rule.matcher, "regex"):
            yield rule.matcher.regex.pattern
routes = {*walk(app.web_app.wildcard_router), *walk(app.web_app.default_router)}
print(json.dumps(sorted(routes)), flush=True)
os._exit(0)
"""


_TENSORBOARD = """
import json, os, sys
sys.modules.update(dict.fromkeys(["jax", "sklearn", "matplotlib"]))  # TensorFlow tries to import
from tensorboard import default, program
from tensorboard.backend import application
made = []
class Seen(application.TensorBoardWSGI):
    def __init__(self, *given, **more):
        super().__init__(*given, **more)
        made.append(self)
application.TensorBoardWSGI = Seen
board = program.TensorBoard(default.get_plugins())
board.configure(["", "--logdir", ".", "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"])
board._make_server()
print(json.dumps([*made[0].exact_routes, *made[0].prefix_routes]), flush=True)
os._exit(0)
"""


def jupyter_routes(directory: str) -> list[str]:
    """A path for every route of JupyterLab's server, its extensions' included."""
    found = {example(path) for path in _told(_JUPYTER, directory)}
    return sorted(path.lstrip("/") for path in found - SILENT)


def tensorboard_routes(directory: str) -> list[str]:
    """A path for every route of TensorBoard's server, its plugins' included."""
    return sorted({path.lstrip("/") for path in _told(_TENSORBOARD, directory)})


def _told(program: str, directory: str) -> list[str]:
    """The list that a program prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True,
        check=True, timeout=120,
    )  # fmt: skip
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def example(pattern: str) -> str:
    """A short text that a pattern matches."""
    return "".join(_piece(*item) for item in parser.parse(pattern))


def _piece(kind: Any, what: Any) -> str:
    if kind is sre.LITERAL:
        return str(chr(what))
    if kind is sre.SUBPATTERN:
        return "".join(_piece(*item) for item in what[3])
    if kind is sre.BRANCH:
        return "".join(_piece(*item) for item in what[1][0])
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
        return "".join(_piece(*item) for item in what[2]) * max(1, int(what[0]))
    if kind is sre.IN and what[0][0] is sre.LITERAL:
        return str(chr(what[0][1]))
    return "" if kind is sre.AT else "a"


def ask(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], list[str]]:
    """Status, headers and cookies of one answer; redirects are not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, headers=dict(headers or {}))
        answer = connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie") or []
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, cookies
    finally:
        connection.close()


def shown(
    url: str, paths: Iterable[str], headers: Mapping[str, str], methods: Iterable[str] = METHODS
) -> Iterator[tuple[str, str, int]]:
    """Method, path and status wherever a request is answered at all, and not refused.

    To be sent to another path of the same server is no answer: that path is a route as well.
    """
    for path in paths:
        for method in methods:
            status, found, _ = ask(url + path, method, headers)
            place = found.get("location", "")
            sent_on = status in (301, 302) and place.startswith("/") and place[:2] != "//"
            if status not in (401, 403, 404, 405) and not sent_on:
                yield method, path, status
