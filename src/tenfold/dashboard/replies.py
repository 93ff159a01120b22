"""Responses: JSON that every browser can read, and files that may grow."""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

_PIECE_BYTES = 1 << 18
_DEEPEST = 20


def encoded(value: object) -> bytes:
    """A value as JSON in one line.

    Numbers that JSON does not have are null, and odd text is `?`.
    """
    try:
        text = _dumps(value)
    except (ValueError, RecursionError):
        text = _dumps(_plain(value, 0))
    return text.encode("utf-8", "replace")


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, depth + 1) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(encoded(value), status, media_type="application/json")


def refusal(words: str, status: int, hint: str | None = None) -> Response:
    """`{version, error, hint}`: what was wrong with a request."""
    return answer({"version": 1, "error": words, "hint": hint}, status)


def download(descriptors: Sequence[int], name: str) -> Response:
    """The files as they are now, streamed one after the other.

    What is written meanwhile is left out. Closes the files.
    """
    sizes = [os.fstat(descriptor).st_size for descriptor in descriptors]

    async def pieces() -> AsyncIterator[bytes]:
        for descriptor, size in zip(descriptors, sizes, strict=True):
            position = 0
            while position < size:
                wanted = min(_PIECE_BYTES, size - position)
                data = await asyncio.to_thread(os.pread, descriptor, wanted, position)
                if not data:
                    break
                position += len(data)
                yield data

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return _Closing(descriptors, pieces(), headers)


class _Closing(StreamingResponse):
    """Closes its files, however the answer ends."""

    def __init__(
        self, descriptors: Sequence[int], pieces: AsyncIterator[bytes], headers: dict[str, str]
    ) -> None:
        super().__init__(pieces, headers=headers, media_type="text/plain")
        self._descriptors = descriptors

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(headers=dict(self.headers))(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            for descriptor in self._descriptors:
                os.close(descriptor)
