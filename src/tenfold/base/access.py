"""Who may use a page that tenfold serves: rules for hosts, origins and tokens.

The dashboard (`dashboard.guard`) and TensorBoard (`services.guard`) ask here. Both refuse requests
for another host name, which is how DNS rebinding reaches a page on loopback, and requests that the
pages of another origin send.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

REFUSED = "this page can be used only on this machine\n"
"""The answer to a request for another host or from another origin."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def comes_from_here(
    hosts: Sequence[str], origins: Iterable[str], schemes: Sequence[str] = ("http", "https")
) -> bool:
    """Whether a request names this machine, and no page of another origin sent it.

    `hosts` and `origins` are the values of its Host and Origin headers. Any port is right, for
    tunnels; `schemes` are those that the origin may have.
    """
    if len(hosts) != 1 or not _names_this_machine(hosts[0]):
        return False
    own = {f"{scheme}://{hosts[0]}" for scheme in schemes}
    return all(origin in own for origin in origins)


def _names_this_machine(host: str) -> bool:
    if set(host) & set("@/\\?# "):
        return False
    try:
        found = urlsplit(f"//{host}")
        return found.hostname in _LOCAL_NAMES and (found.port is None or found.port > 0)
    except ValueError:
        return False


def is_token(given: str, token: str) -> bool:
    """Whether this is the token.

    The time that this takes does not depend on what is wrong.
    """
    encoded = given.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(encoded, token.encode("utf-8", "surrogateescape"))


def cookie(headers: Iterable[str], name: str) -> str:
    """The value of a cookie in the Cookie headers, or an empty string."""
    for header in headers:
        try:
            morsel = SimpleCookie(header).get(name)
        except CookieError:
            continue
        if morsel:
            return morsel.value
    return ""


def parameters(query: str) -> list[tuple[str, str]]:
    """Names and values of a query; none if it cannot be parsed."""
    try:
        return parse_qsl(query, keep_blank_values=True)
    except ValueError:
        return []
