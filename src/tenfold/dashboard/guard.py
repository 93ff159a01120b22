"""Who may use the dashboard: this machine's users who have the token.

Only their pages may use it.

Owns: the check of Host (DNS rebinding), Origin and token, the page's cookie, passes for downloads,
and the security headers of every answer, static files included. Nothing behind it is reached by a
request that fails one of these.

Browsers send cookies to every port of a host, so that another user's server learns them. The
cookie therefore opens the page's own files only; all that is about runs needs the token in a
header, which only the page sends.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tenfold.base import access

_PAGE = ("/static/", "/docs/")
"""Where the page's own files are, besides `/`: they reveal nothing of any run."""

PASS_S = 60
"""Seconds for which a pass is valid."""

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
"""The content-security policy: nothing external and nothing inline."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer."""

_LOCKED = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tenfold</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
</head><body><h1>This page needs its token</h1>
<p>Run <code>tenfold open</code> where the cluster was started: it opens this page, or prints the
URL that does.</p></body></html>
"""


class AsgiGuard:
    """An ASGI application behind `token`."""

    def __init__(self, application: ASGIApp, token: str) -> None:
        """`token`: at least 20 ASCII characters."""
        self._application = application
        self._token = token
        self.cookie = f"tenfold_{hashlib.sha256(token.encode()).hexdigest()[:8]}"
        """The cookie's name. Browsers send cookies to every port of a host."""
        self._page_cookie = self._signed("page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            return

        answer = self._answer(scope) or self._application

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if answer is self._application and self._welcomes(scope):
                    cookie = f"{self.cookie}={self._page_cookie}; Path=/; HttpOnly; SameSite=strict"
                    headers["Set-Cookie"] = cookie
            await send(message)

        await answer(scope, receive, guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """The answer to a request that the guard refuses, or None to let it through."""
        headers = Headers(scope=scope)
        if not access.comes_from_here(headers.getlist("host"), headers.getlist("origin")):
            return PlainTextResponse(access.REFUSED, 403)
        reads = scope["method"] in ("GET", "HEAD")
        given = [value for name, value in _query(scope) if name == "token"]
        if given and reads:
            return None if self._is_right(given[-1]) else _locked()
        if self._is_right(_bearer(headers)):
            return None
        if reads and (self._opens_page(scope, headers) or self._is_passed(scope)):
            return None
        return _locked()

    def _is_right(self, given: str) -> bool:
        return access.is_token(given, self._token)

    def _welcomes(self, scope: Scope) -> bool:
        """Whether a request is for the page itself, with the token in its address."""
        given = [value for name, value in _query(scope) if name == "token"]
        return scope["path"] == "/" and bool(given) and self._is_right(given[-1])

    def _opens_page(self, scope: Scope, headers: Headers) -> bool:
        """Whether this is a browser's request for a file of a page opened in it."""
        path = scope["path"]
        if path != "/" and not path.startswith(_PAGE):
            return False
        given = access.cookie(headers.getlist("cookie"), self.cookie)
        return access.is_token(given, self._page_cookie)

    def pass_for(self, path: str) -> str:
        """A pass for one path, as `?pass=…`, for a minute.

        It is for a browser's own downloads.
        """
        return self._pass(path, int(time.time()) + PASS_S)

    def _pass(self, path: str, until: int) -> str:
        return f"{until}.{self._signed(f'pass {until} {path}')}"

    def _is_passed(self, scope: Scope) -> bool:
        given = next((value for name, value in _query(scope) if name == "pass"), "")
        until = given.partition(".")[0]
        if not re.fullmatch("[0-9]{1,12}", until) or int(until) < time.time():
            return False
        wanted = self._pass(scope["path"], int(until))
        return access.is_token(given, wanted)

    def _signed(self, text: str) -> str:
        return hmac.new(
            self._token.encode(), text.encode("utf-8", "replace"), hashlib.sha256
        ).hexdigest()


def _locked() -> Response:
    return HTMLResponse(_LOCKED, 401, {"WWW-Authenticate": "Bearer"})


def _query(scope: Scope) -> list[tuple[str, str]]:
    return access.parameters(scope["query_string"].decode("latin-1"))


def _bearer(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
