"""Who gets past the guard, and what every answer carries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tenfold.dashboard.guard import HEADERS, PASS_S, POLICY, AsgiGuard

TOKEN = "a-token_of_twenty-characters"


async def _behind(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("behind")(scope, receive, send)


GUARD = AsgiGuard(_behind, TOKEN)
KNOWN = {"authorization": f"Bearer {TOKEN}"}


def ask(
    path: str = "/",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    more: tuple[tuple[str, str], ...] = (),
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of one request; `more` are headers that come twice."""
    given = {"host": "127.0.0.1:1234"} | dict(headers or {})
    pairs = [*given.items(), *more]
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in pairs if v],
    }  # fmt: skip
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    asyncio.run(GUARD(scope, receive, send))
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]).decode()


PAGE_COOKIE = {"cookie": "other=1; " + ask("/", f"token={TOKEN}")[1]["set-cookie"].split(";")[0]}


def test_a_bearer_token_is_accepted() -> None:
    assert ask(headers=KNOWN)[::2] == (200, "behind")
    assert ask(headers={"authorization": f"bearer  {TOKEN} "})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"cookie": f"{GUARD.cookie}=wrong"},
        {"cookie": f"{GUARD.cookie}={TOKEN}x"},
        {"cookie": f"tenfold={TOKEN}"},
        {"cookie": "\xff\x00;;;="},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer \xe9"},
    ],
)
def test_nothing_else_opens(headers: dict[str, str]) -> None:
    status, found, body = ask(headers=headers)
    assert status == 401
    assert "tenfold open" in body
    assert "behind" not in body
    assert found["content-type"].startswith("text/html")


def test_the_page_gets_a_cookie_that_is_not_the_token() -> None:
    status, headers, body = ask("/", f"token={TOKEN}&x=1")
    assert (status, body) == (200, "behind")
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"{GUARD.cookie}=")
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


@pytest.mark.parametrize("path", ["/metrics", "/api/runs", "//evil.example", "/..", "/x"])
def test_nothing_but_the_page_gives_a_cookie(path: str) -> None:
    assert "set-cookie" not in ask(path, f"token={TOKEN}")[1]
    assert "set-cookie" not in ask("/", "token=wrong")[1]


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/docs/dashboard"])
def test_the_cookie_opens_the_page_s_files(path: str) -> None:
    assert ask(path, headers=PAGE_COOKIE)[::2] == (200, "behind")


@pytest.mark.parametrize("path", ["/metrics", "/api/runs", "/static", "/api/static/x", "/x"])
@pytest.mark.parametrize("value", ["its own", TOKEN])
def test_no_cookie_opens_more(path: str, value: str) -> None:
    headers = PAGE_COOKIE if value == "its own" else {"cookie": f"{GUARD.cookie}={TOKEN}"}
    assert ask(path, headers=headers)[0] == 401
    assert ask("/", headers=PAGE_COOKIE, method="POST")[0] == 401


def test_a_pass_opens_its_path_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    given = GUARD.pass_for("/api/x")
    assert ask("/api/x", f"pass={given}")[0] == 200
    assert ask("/api/y", f"pass={given}")[0] == 401
    assert ask("/api/x", f"pass={given}", method="POST")[0] == 401
    assert ask("/api/x", f"pass={given[:-1]}")[0] == 401
    for bad in ("", ".", "x.y", "9" * 30, "%ff.%ff"):
        assert ask("/api/x", f"pass={bad}")[0] == 401
    late = time.time() + PASS_S + 1
    monkeypatch.setattr(time, "time", lambda: late)
    assert ask("/api/x", f"pass={given}")[0] == 401


def test_a_wrong_token_is_refused_even_beside_a_right_one() -> None:
    assert ask("/", "token=wrong", KNOWN)[0] == 401
    assert ask("/", f"token={TOKEN}&token=wrong")[0] == 401
    assert ask("/", "token=%ff%00")[0] == 401


def test_a_token_in_the_address_of_a_post_is_nothing() -> None:
    assert ask("/", f"token={TOKEN}", method="POST")[0] == 401


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:65535", "[::1]:8080", "[::1]", "LOCALHOST:1"]
)
def test_hosts_of_this_machine(host: str) -> None:
    assert ask(headers=KNOWN | {"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example", "evil.example#127.0.0.1", "x@127.0.0.1",
     "0.0.0.0", "localhost.", "127.0.0.1:x", "127.0.0.1:99999", "[::1", "localhost, evil",
     "127.1", "[::2]"],
)  # fmt: skip
def test_requests_for_other_hosts_are_refused(host: str) -> None:
    assert ask(headers=KNOWN | {"host": host})[0] == 403


def test_a_request_with_two_hosts_is_refused() -> None:
    assert ask(headers=KNOWN, more=(("host", "127.0.0.1:1234"),))[0] == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:1234", 200),
        ("https://127.0.0.1:1234", 200),
        ("http://127.0.0.1:1235", 403),
        ("http://localhost:1234", 403),
        ("null", 403),
        ("http://evil.example", 403),
    ],
)
def test_only_requests_from_the_page_itself_are_allowed(origin: str, status: int) -> None:
    assert ask(headers=KNOWN | {"origin": origin})[0] == status


@pytest.mark.parametrize("headers", [KNOWN, {}, {"host": "evil.example"}])
def test_every_answer_is_guarded(headers: dict[str, str]) -> None:
    found = ask(headers=headers)[1]
    assert {name: found[name.lower()] for name in HEADERS} == HEADERS
    assert found["cache-control"] == "no-store"


def test_the_policy_allows_nothing_from_elsewhere() -> None:
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY
