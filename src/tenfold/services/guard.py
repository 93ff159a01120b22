"""A WSGI page that only the holder of a token can see.

The token comes once, in the URL that tenfold prints, and is exchanged for a cookie; requests for
another host name (DNS rebinding) or from another origin are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from tenfold.base import access

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class WsgiGuard:
    """`application` behind `token`.

    `name` makes its cookie different from those of other pages.
    """

    def __init__(self, application: Application, token: str, name: str) -> None:
        self._application = application
        self._token = token
        self._cookie = f"tenfold_{name}"

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request, or refuse it."""
        hosts, origins = _values(environ, "HTTP_HOST"), _values(environ, "HTTP_ORIGIN")
        if not access.comes_from_here(hosts, origins, schemes=("http",)):
            return _refuse(start_response, "403 Forbidden", access.REFUSED)
        query = access.parameters(environ.get("QUERY_STRING", ""))
        given = dict(query).get("token")
        if given is not None and access.is_token(given, self._token):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            return self._welcome(environ, start_response, rest)
        kept = access.cookie(_values(environ, "HTTP_COOKIE"), self._cookie)
        if not access.is_token(kept, self._token):
            words = "open the URL that `tenfold ps` shows; it contains the token\n"
            return _refuse(start_response, "401 Unauthorized", words)
        return self._application(environ, start_response)

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


def _values(environ: Environ, name: str) -> list[str]:
    return [environ[name]] if name in environ else []


def _refuse(start_response: StartResponse, status: str, words: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [words.encode()]
