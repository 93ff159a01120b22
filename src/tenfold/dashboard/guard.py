"""Who may use the dashboard: this machine's users who hold the token, and their pages alone.

Owns: the check of Host (DNS rebinding), Origin and token, the exchange of the token for a cookie,
and the security headers of every answer, static files included. Nothing behind it is reached by a
request that fails one of these.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
"""The content-security policy: nothing from elsewhere, nothing inline."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer."""

_LOCKED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tenfold</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
</head><body><h1>This page needs its token</h1>
<p>Run <code>tenfold open</code> where the cluster was started: it opens this page, or prints the
URL that does.</p></body></html>
"""


class Guard:
    """An ASGI application behind `token`."""

    def __init__(self, application: ASGIApp, token: str) -> None:
        """`token`: at least 20 ASCII characters."""
        self._application = application
        self._token = token.encode()
        self.cookie = f"tenfold_{hashlib.sha256(self._token).hexdigest()[:8]}"
        """The cookie's name: browsers send cookies to every port of a host."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        if scope["type"] != "http":
            return

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._answer(scope) or self._application
        await answer(scope, receive, guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """What to say instead of what is behind the guard; None lets the request through."""
        headers = Headers(scope=scope)
        if not _is_local(headers) or not _same_origin(headers):
            return PlainTextResponse("this page is for this machine only\n", 403)
        query = _query(scope)
        given = [value for name, value in query if name == "token"]
        if given and scope["method"] in ("GET", "HEAD"):
            return self._welcome(scope, query) if self._is_right(given[-1]) else _locked()
        if self._is_right(self._from_cookie(headers)) or self._is_right(_bearer(headers)):
            return None
        return _locked()

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token)

    def _from_cookie(self, headers: Headers) -> str:
        for cookie in headers.getlist("cookie"):
            try:
                morsel = SimpleCookie(cookie).get(self.cookie)
            except CookieError:
                continue
            if morsel:
                return morsel.value
        return ""

    def _welcome(self, scope: Scope, query: list[tuple[str, str]]) -> Response:
        """The same page without the token, which the browser now has in a cookie.

        The place is relative, so that it holds behind a proxy too.
        """
        last = scope["path"].rpartition("/")[2]
        place = last if _PLAIN_NAME.fullmatch(last) else ""
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        there = f"./{place}" + (f"?{rest}" if rest else "")
        answer = Response(status_code=303, headers={"Location": there})
        answer.set_cookie(self.cookie, self._token.decode(), httponly=True, samesite="strict")
        return answer


def _locked() -> Response:
    return HTMLResponse(_LOCKED, 401, {"WWW-Authenticate": "Bearer"})


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    except ValueError:
        return []


def _bearer(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _is_local(headers: Headers) -> bool:
    """Whether the one Host that was named is a name of this machine; any port, for tunnels."""
    hosts = headers.getlist("host")
    if len(hosts) != 1 or set(hosts[0]) & set("@/\\?# "):
        return False
    try:
        found = urlsplit(f"//{hosts[0]}")
        return found.hostname in _LOCAL_NAMES and (found.port is None or found.port > 0)
    except ValueError:
        return False


def _same_origin(headers: Headers) -> bool:
    host = headers.get("host", "")
    origins = headers.getlist("origin")
    return all(origin in (f"http://{host}", f"https://{host}") for origin in origins)
