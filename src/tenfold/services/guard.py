"""A WSGI page that only the holder of a token can see.

The token comes once, in the URL that tenfold prints, and is exchanged for a cookie; requests for
another host name (DNS rebinding) or from another origin are refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class WsgiGuard:
    """`application` behind `token`; `name` makes the cookie differ from those of other pages."""

    def __init__(self, application: Application, token: str, name: str) -> None:
        self._application = application
        self._token = token
        self._cookie = f"tenfold_{name}"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request, or say why not."""
        if not _is_local(f"//{environ.get('HTTP_HOST', '')}") or not _same_origin(environ):
            return _refuse(
                start_response, "403 Forbidden", "this page can be used only on this machine"
            )
        query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and self._is_right(given):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            return self._welcome(environ, start_response, rest)
        if not self._is_right(self._from_cookie(environ)):
            words = "open the URL that `tenfold ps` shows; it contains the token"
            return _refuse(start_response, "401 Unauthorized", words)
        return self._application(environ, start_response)

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _from_cookie(self, environ: Environ) -> str:
        try:
            morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(self._cookie)
        except CookieError:
            return ""
        return morsel.value if morsel else ""

    def _welcome(
        self, environ: Environ, start_response: StartResponse, query: str
    ) -> Iterable[bytes]:
        place = environ.get("PATH_INFO", "/").lstrip("/")
        cookie = f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [
            ("Location", f"/{place}" + (f"?{query}" if query else "")),
            ("Set-Cookie", cookie),
            ("Referrer-Policy", "no-referrer"),
        ]
        start_response("303 See Other", headers)
        return [b""]


def _is_local(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOCAL_NAMES
    except ValueError:
        return False


def _same_origin(environ: Environ) -> bool:
    origin = environ.get("HTTP_ORIGIN")
    return origin is None or origin == f"http://{environ.get('HTTP_HOST', '')}"


def _refuse(start_response: StartResponse, status: str, words: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [words.encode() + b"\n"]
