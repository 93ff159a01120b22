"""Parse a request for log lines: JSON, checked, and limited in size."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tenfold.errors import InputError
from tenfold.run.logs import STREAMS
from tenfold.run.logs.filter import LEVELS, expression, line_filter
from tenfold.views.logpages import MOST_LINES, LogPageQuery

MOST_BYTES = 1 << 20
"""Of a request's body: a cursor of a thousand tasks is some fifty thousand bytes."""

_USUAL: dict[str, Any] = {
    "tasks": [], "cursor": None, "direction": "back", "lines": 500, "text": "", "regex": False,
    "level": "", "stream": "", "at": None,
}  # fmt: skip


async def body_of(request: Request) -> object:
    """The body of a request as JSON. Raises InputError if it is not JSON."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "the request is too long")
    try:
        return json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError) as error:
        raise InputError("the request is no JSON", cause=error) from error


def wanted(said: object) -> LogPageQuery:
    """The page that a request's body asks for. Missing fields have defaults.

    Raises InputError, naming the field, for what cannot be.
    """
    if not isinstance(said, dict):
        raise InputError("the request has to be an object")
    field = {name: said.get(name, usual) for name, usual in _USUAL.items()}
    tasks, lines, at = field["tasks"], field["lines"], field["at"]
    _require(isinstance(tasks, list) and all(isinstance(t, str) for t in tasks), "tasks")
    _require(isinstance(field["cursor"], (str, type(None))), "cursor")
    _require(field["direction"] in ("back", "on"), "direction")
    _require(type(lines) is int and lines > 0, "lines")
    _require(isinstance(field["text"], str) and len(field["text"]) <= 1000, "text")
    _require(isinstance(field["regex"], bool), "regex")
    _require(field["level"] in LEVELS, "level")
    _require(field["stream"] in ("", *STREAMS), "stream")
    is_search = field["regex"] and field["text"] != ""
    _require(at is None or (type(at) in (int, float) and abs(at) < 1e12), "at")
    return LogPageQuery(
        tasks=tuple(tasks),
        streams=(field["stream"],) if field["stream"] else STREAMS,
        cursor=field["cursor"],
        direction=field["direction"],
        lines=min(lines, MOST_LINES),
        at=at,
        passes=line_filter(field["text"], regex=field["regex"], level=field["level"]),
        spans=expression(field["text"]).spans if is_search else None,
    )


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise InputError(f"{name} is not as it should be")
