"""Send one notice to a URL: `python -m tenfold.supervise.post`.

The notice is JSON on standard input: `{"url": …, "format": …, "facts": {…}}`. The exit code is 0,
or 1 after a line that says why. The line never contains more of the URL than its host. This is a
process of its own, because a host name that nobody resolves and a server that never answers hold
up whoever waits for them.

Sources of the formats: docs.ntfy.sh/publish (body, `Title`, `Priority`, `Tags`),
api.slack.com/messaging/webhooks (`text`), discord.com/developers/docs/resources/webhook (`content`
of at most 2000 characters). Google Chat takes what Slack takes, and nothing else.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.header import Header
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from tenfold import __version__
from tenfold.base.secrets import remember, secrets_of_url, shown_url, veiled

ANSWER_S = 5.0
PAUSES_S = (0.5, 1.5)
"""Seconds before the second and the third attempt."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_REDIRECTS = 5
_DISCORD_CHARACTERS = 2000


def format_of(url: str) -> str:
    """The format that the host of a URL understands."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host in ("hooks.slack.com", "hooks.slack-gov.com", "chat.googleapis.com"):
        return "slack"
    if host in ("discord.com", "discordapp.com") and parts.path.startswith("/api/webhooks/"):
        return "slack" if parts.path.rstrip("/").endswith("/slack") else "discord"
    return "ntfy" if host == "ntfy.sh" else "json"


def request_for(form: str, facts: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a notice in a format."""
    title, text = str(facts["title"]), str(facts["text"])
    if form == "ntfy":
        bad = facts["event"] in ("failed", "hung")
        return text.encode(), {
            "Content-Type": "text/plain; charset=utf-8",
            "Title": _header(title),
            "Priority": "high" if bad else "default",
            "Tags": _NTFY_TAGS.get(str(facts["event"]), "bell"),
        }
    if form == "slack":
        body: dict[str, Any] = {"text": _escaped(text)}
    elif form == "discord":
        body = {"content": text[:_DISCORD_CHARACTERS], "allowed_mentions": {"parse": []}}
    else:
        body = {**facts, "message": text, "content": text[:_DISCORD_CHARACTERS]}
    return json.dumps(body).encode(), {"Content-Type": "application/json"}


_NTFY_TAGS = {
    "ended": "white_check_mark",
    "failed": "rotating_light",
    "hung": "hourglass",
    "restarted": "arrows_counterclockwise",
}


def _header(text: str) -> str:
    """Text for an HTTP header.

    Letters beyond ASCII are encoded by RFC 2047, which ntfy reads.
    """
    line = " ".join(text.split())
    return line if line.isascii() else Header(line, "utf-8", maxlinelen=10_000).encode()


def _escaped(text: str) -> str:
    """Text in which Slack finds no link, no mention and no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the same host, with the same request.

    A notice does not go to a host that the user has not named. urllib itself would turn a POST
    into a GET without a body.
    """

    max_redirections = _MOST_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        del msg
        weaker = before.scheme == "https" and after.scheme != "https"
        if before.hostname != after.hostname or weaker:
            words = f"redirects to {shown_url(newurl)}: use that address, if you trust it"
            raise urllib.error.HTTPError(shown_url(req.full_url), code, words, headers, fp)
        return urllib.request.Request(newurl, req.data, dict(req.headers), method="POST")

    def http_error_308(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        """As 307: Python before 3.11 does not know it."""
        return self.http_error_302(req, fp, code, msg, headers)


def send(url: str, body: bytes, headers: Mapping[str, str]) -> str | None:
    """Send a request, three times at most. Returns why it failed, or None."""
    opener = urllib.request.build_opener(_SameHost())
    agent = {"User-Agent": f"tenfold/{__version__}"}
    why = ""
    for pause_s in (*PAUSES_S, None):
        try:
            request = urllib.request.Request(url, body, {**agent, **headers}, method="POST")
            with opener.open(request, timeout=ANSWER_S) as answer:
                answer.read(1024)
            return None
        except urllib.error.HTTPError as error:
            why = error.msg if 300 <= error.code < 400 else f"answered {error.code} {error.msg}"
            if error.code not in _PASSING:
                return why
        except (OSError, HTTPException, ValueError) as error:
            why = str(getattr(error, "reason", None) or error) or type(error).__name__
        if pause_s is not None:
            time.sleep(pause_s)
    return why


def main() -> None:
    """Send the notice on standard input."""
    told = json.load(sys.stdin)
    url = str(told["url"])
    remember(secrets_of_url(url))
    body, headers = request_for(told.get("format") or format_of(url), told["facts"])
    if why := send(url, body, headers):
        print(veiled(" ".join(why.split())))
        sys.stdout.flush()
        raise SystemExit(1)


if __name__ == "__main__":
    main()
