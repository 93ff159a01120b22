"""The guard in front of a page: who is let in, and who is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tenfold.services.guard import WsgiGuard

TOKEN = "a-long-secret"


def page(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The guarded application."""
    start_response("200 OK", [])
    return [f"page at {environ['PATH_INFO']}".encode()]


def ask(query: str = "", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request; gives status, headers and body."""
    seen: list[Any] = []
    environ = {"PATH_INFO": "/x", "QUERY_STRING": query, "HTTP_HOST": "localhost:6006"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    answer = WsgiGuard(page, TOKEN, "t")(environ, lambda *given: seen.extend(given))
    return int(seen[0].split()[0]), dict(seen[1]), b"".join(answer)


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_url() -> None:
    status, headers, _ = ask(f"token={TOKEN}&run=a%20b")
    assert status == 303
    assert headers["Location"] == "/x?run=a+b"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert ask(cookie=cookie.partition(";")[0]) == (200, {}, b"page at /x")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("token=", {}),
        ("token=wrong", {}),
        ("", {"cookie": "tenfold_t=wrong"}),
        ("", {"cookie": "tenfold_other=a-long-secret"}),
        ("", {"cookie": "\x00=;;=\x7f"}),
        ("token=%ff", {}),
    ],
)
def test_without_the_token_nothing_is_shown(query: str, headers: dict[str, str]) -> None:
    status, _, body = ask(query, **headers)
    assert status == 401
    assert b"page" not in body.replace(b"this page", b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example:6006"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "evil.example@localhost"},
        {"host": "localhost:99999"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://localhost:6006"},
    ],
)
def test_other_hosts_and_origins_are_refused_even_with_the_token(headers: dict[str, str]) -> None:
    assert ask(f"token={TOKEN}", **headers)[0] == 403


@pytest.mark.parametrize("host", ["localhost:6006", "127.0.0.1:6006", "[::1]:6006"])
def test_every_name_of_this_machine_is_right(host: str) -> None:
    assert ask(f"token={TOKEN}", host=host, origin=f"http://{host}")[0] == 303


def test_no_redirect_leaves_this_host() -> None:
    seen: list[Any] = []
    environ = {"PATH_INFO": "//evil.example/", "QUERY_STRING": f"token={TOKEN}",
               "HTTP_HOST": "localhost"}  # fmt: skip
    WsgiGuard(page, TOKEN, "t")(environ, lambda *given: seen.extend(given))
    assert dict(seen[1])["Location"] == "/evil.example/"
