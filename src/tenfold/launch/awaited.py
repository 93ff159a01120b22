"""The line of a task's output that says that the task can be used."""

from __future__ import annotations

import re

_LONGEST_BYTES = 1 << 16


class AwaitedLine:
    """Looks for a pattern in whole lines, whatever pieces they come in.

    A line that has not ended yet is looked at too: a prompt has no newline.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern.encode())
        self._rest: dict[str, bytes] = {}

    def is_in(self, stream: str, data: bytes) -> bool:
        """Whether a line of `stream` matches, now that `data` came."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        self._rest[stream] = rest[-_LONGEST_BYTES:]
        return any(self._pattern.search(line) for line in (*lines, rest))
