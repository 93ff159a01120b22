"""Nothing but the runs can be read, and nobody but the holder of the token reads it.

Every route of the application is tried: one that is added later is tried too.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.routing import Mount, Route

from tenfold.dashboard import app

from .fake_runs import FakeRun
from .served import Answer, Dashboard, served

SECRET = "a secret that lies outside of every run"

NAMES = (
    "..",
    "../../secret.txt",
    "../../../../../../../../etc/passwd",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fsecret.txt",
    "..%2f..%2fsecret.txt",
    "..%252f..%252fsecret.txt",
    "..%5c..%5csecret.txt",
    "%c0%ae%c0%ae/secret.txt",
    "....//....//secret.txt",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "worker-0%00",
    "%00",
    "worker-0/../../../../secret.txt",
    "worker-0%2fstatus.json",
    "linked-0",
    "linked",
    ".",
    "~root",
    "token",
    "stdout.log",
    "a" * 5000,
    "%ff%fe",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all tests here: they change nothing."""
    return tmp_path_factory.mktemp("paths").resolve() / "runs"


@pytest.fixture(scope="module")
def run(place: Path) -> Iterator[FakeRun]:
    """A run in which links lead to a secret outside, wherever a link can be."""
    with FakeRun(place) as made:
        made.flow()
        elsewhere = place.parent / "elsewhere"
        elsewhere.mkdir()
        for name in ("stdout.log", "stderr.log", "status.json", "plan.json", "token"):
            (elsewhere / name).write_text(json.dumps({"cluster": SECRET, "state": SECRET}))
        (place.parent / "secret.txt").write_text(SECRET)
        tasks = made.directory.path / "tasks"
        homes = (place, place / made.directory.cluster, tasks)
        for link in (*(home / "linked" for home in homes), tasks / "linked-0"):
            link.symlink_to(elsewhere)
        for name in ("stderr.log", "usage.jsonl", "traffic.jsonl", "placement.json"):
            file = made.task("worker/0").path / name
            file.unlink(missing_ok=True)
            file.symlink_to(place.parent / "secret.txt")
        (made.task("worker/1").path / "token").write_text(SECRET)
        yield made


@pytest.fixture(scope="module")
def board(run: FakeRun, place: Path) -> Iterator[Dashboard]:
    """The dashboard of that run."""
    assert run.directory.path.is_relative_to(place)
    with served(place) as started:
        yield started


def routes(some: Iterable[object], before: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route, with `{cluster}` and so on in it."""
    for route in some:
        if isinstance(route, Mount) and route.routes:
            yield from routes(route.routes, before + route.path)
        elif isinstance(route, Mount):
            yield "GET", f"{before}{route.path}/{{path}}"
        else:
            assert isinstance(route, Route), (
                f"a kind of route that this test does not know: {route}"
            )
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, before + route.path


def filled(path: str, of: FakeRun, **other: str) -> str:
    """A route's path with names that are there, or with `other` in the place of some."""
    known = {
        "cluster": of.directory.cluster,
        "run": of.directory.run,
        "label": "worker-0",
        "stream": "stdout",
        "name": "app.js",
        "page": "dashboard",
    }
    names = {name.split(":")[0]: name for name in re.findall(r"{([^}]*)}", path)}
    assert names.keys() <= known.keys(), f"{path} takes what this test does not know"
    for name, written in names.items():
        path = path.replace(f"{{{written}}}", (known | other)[name])
    return path.lstrip("/")


def every_route(runs: Path) -> list[tuple[str, str]]:
    found = list(routes(app.Dashboard(runs, "t" * 20)._starlette().routes))
    assert len(found) > 10
    return found


STRANGERS = {
    "no token": (401, {}),
    "a wrong token": (401, {"Cookie": "tenfold=wrong", "Authorization": "Bearer wrong"}),
    "a wrong host": (403, {"Host": "evil.example", "Cookie": "OURS"}),
    "a host that begins right": (403, {"Host": "localhost.evil.example", "Cookie": "OURS"}),
    "a foreign origin": (403, {"Origin": "http://evil.example", "Cookie": "OURS"}),
    "the origin of a sandbox": (403, {"Origin": "null", "Cookie": "OURS"}),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_every_route_refuses(stranger: str, board: Dashboard, run: FakeRun, place: Path) -> None:
    status, headers = STRANGERS[stranger]
    shown = {name: board.cookie if value == "OURS" else value for name, value in headers.items()}
    for method, path in every_route(place):
        answer = board.ask(filled(path, run), body_of(method), known=False, headers=shown)
        assert answer.status == status, (method, path)
        assert run.directory.cluster.encode() not in answer.body
        assert board.token.encode() not in answer.body + str(answer.headers).encode()
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


PAGE = ("", "static/app.js", "docs/dashboard")


def test_a_cookie_alone_opens_the_page_s_own_files_only(
    board: Dashboard, run: FakeRun, place: Path
) -> None:
    """Browsers send it to every port of this machine, so that others may have it."""
    for method, path in every_route(place):
        there = filled(path, run)
        answer = board.ask(there, body_of(method), known=False, headers={"Cookie": board.cookie})
        assert answer.status == (200 if there in PAGE else 401), (method, path)
        assert board.token not in board.cookie
        assert run.directory.run.encode() not in answer.body


def test_a_pass_is_valid_for_one_log_only(board: Dashboard, run: FakeRun) -> None:
    path = f"api/runs/{run.key}/logs/worker-0/stdout"
    given = board.get(f"api/pass?path=/{path}")["pass"]
    assert board.ask(f"{path}?pass={given}", known=False).status == 200
    other = path.replace("stdout", "stderr")
    for there in (f"{other}?pass={given}", f"api/runs?pass={given}", f"{path}?pass=9{given}"):
        assert board.ask(there, known=False).status == 401
    assert board.ask(f"{path}?pass={given}", {}, known=False).status == 401


def test_every_route_responds_to_a_valid_token(board: Dashboard, run: FakeRun, place: Path) -> None:
    for method, path in every_route(place):
        query = f"?a={run.key}&b={run.key}" if "compare" in path else ""
        answer = board.ask(filled(path, run) + query, body_of(method), most=20)
        assert answer.status == 200, (method, path, answer.body)
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_no_route_serves_a_file_outside_of_a_run(
    board: Dashboard, run: FakeRun, place: Path
) -> None:
    for method, path in every_route(place):
        names = {word.split(":")[0] for word in re.findall(r"{([^}]*)}", path)}
        for name, bad in itertools.product(names, NAMES):
            answer = board.ask(filled(path, run, **{name: bad}), body_of(method), most=100_000)
            refused(answer, path, bad)


@pytest.mark.parametrize("bad", NAMES)
def test_no_name_in_a_request_leads_outside(bad: str, board: Dashboard, run: FakeRun) -> None:
    words = unquote(bad)
    refused(board.ask(f"api/compare?a={bad}&b={run.key}"), "compare", bad)
    refused(board.ask(f"api/compare?a={run.directory.cluster}/{bad}&b={run.key}"), "compare", bad)
    for body in (
        {"tasks": [words]},
        {"cursor": words, "direction": "on"},
        {"cursor": {"worker/0": words}},
        {"stream": words},
        {"tasks": [{"path": words}]},
    ):
        refused(board.ask(f"api/runs/{run.key}/logs", body), "logs", bad)


def test_a_link_in_a_run_is_not_followed(board: Dashboard, run: FakeRun) -> None:
    """Neither of a whole task, nor of one of its files."""
    for path in (
        f"api/runs/{run.key}/logs/worker-0/stderr",
        f"api/runs/{run.key}/logs/linked-0/stdout",
        f"api/runs/{run.key}/tasks/linked-0",
        f"api/runs/{run.directory.cluster}/linked",
        "api/runs/linked/linked",
    ):
        assert board.ask(path).status == 404, path
    for path in ("", "/map", "/placement", "/training", "/tasks/worker-0", "/events"):
        assert SECRET.encode() not in board.ask(f"api/runs/{run.key}{path}").body
    lines = board.logs(run.key, tasks=["worker/0"])["lines"]
    assert [line["text"] for line in lines] == ["worker/0 is up"]


NOW = time.time()
TELLING: dict[str, object] = {
    "plan.json": {"cluster": SECRET, "cell": SECRET, "tasks": []},
    "status.json": {"state": "running", "reason": SECRET, "started": 1.0, "updated": NOW},
    "events.jsonl": {"time": NOW, "kind": "note", "task": None, "message": SECRET},
    "tasks/worker-0/status.json": {"task": "worker/0", "state": "running", "host": SECRET},
    "tasks/worker-0/progress.json": {
        "done": 1,
        "total": 2,
        "unit": SECRET,
        "time": NOW,
        "figures": {SECRET: SECRET},
    },
    "tasks/worker-0/traffic.jsonl": {"time": NOW, "peers": {f"outside:{SECRET}": [1, 2, 1, 1]}},
    "tasks/worker-0/stdout.log": SECRET,
    "tasks/worker-0/token": SECRET,
    "tasks/chief-0/placement.json": {
        "version": 1,
        "time": NOW,
        "variables": [
            {
                "name": SECRET,
                "variable": SECRET,
                "part": 0,
                "parts": 1,
                "shape": [1],
                "dtype": SECRET,
                "bytes": 1,
                "device": SECRET,
                "task": "ps/0",
            }
        ],
    },
}
"""Files in whose place a task may put a link: to files that would be shown, were they read."""


@pytest.mark.parametrize("name", TELLING)
def test_no_file_of_a_run_is_read_through_a_link(name: str, tmp_path: Path) -> None:
    runs = tmp_path.resolve() / "runs"
    with FakeRun(runs, {"chief": 1, "ps": 1, "worker": 1}) as run, FakeRun(runs) as other:
        run.flow()
        run.set("worker/0", url="http://127.0.0.1:1/")
        secret, link = tmp_path / "secret", run.directory.path / name
        secret.write_text(f"{json.dumps(TELLING[name])}\n")
        link.unlink(missing_ok=True)
        link.symlink_to(secret)
        with served(runs) as board:
            for method, path in every_route(runs):
                query = f"?a={run.key}&b={other.key}" if "compare" in path else ""
                asked = filled(path, run) + query
                most = 1000 if path.endswith("stream") else 20_000  # a stream goes on for ever
                refused(board.ask(asked, body_of(method), most=most), name, path)
            refused(board.ask(f"api/runs/{run.key}/tasks/chief-0"), name)


def body_of(method: str) -> dict[str, str] | None:
    """What a request of this method needs."""
    return {} if method == "POST" else None


def refused(answer: Answer, *what: object) -> None:
    """Whatever the answer is, it is not a failure of the server's and holds nothing secret."""
    assert answer.status < 500, (what, answer.body[:300])
    for secret in (SECRET.encode(), b"root:x:0:"):
        assert secret not in answer.body, what
