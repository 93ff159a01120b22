"""Find the line in a task's output that shows that the task is ready."""

from __future__ import annotations

from tenfold.base.escapes import plain
from tenfold.base.patterns import PatternError, compiled
from tenfold.errors import InputError
from tenfold.planning.plan import Bound

_LONGEST_BYTES = 1 << 20
"""The maximum length of a line in bytes, the same as for readers of the log.

A longer line is cut there, and its rest counts as another line.
"""

_LOOK_BACK_BYTES = 1 << 12
"""How far before a new piece of an unfinished line the search begins.

The whole line is searched once, when it has ended.
"""


class AwaitedLine:
    """Looks for a pattern in whole lines, however the output is split.

    A line is searched as `logs` shows it: without colours, bytes that are no UTF-8 replaced. What
    was written over with a carriage return was shown too, and is searched as well. So is a line
    that has not ended yet: a prompt has no newline.
    """

    def __init__(self, pattern: str) -> None:
        """Raises InputError for an invalid pattern."""
        try:
            self._pattern = compiled(pattern)
        except PatternError as error:
            message = f"the pattern of its `ready: {{log: …}}` cannot be used: {error}"
            raise InputError(message, hint=error.hint, cause=error) from error
        self._rest: dict[str, bytearray] = {}

    def is_in(self, stream: str, data: bytes) -> bool:
        """Whether a line of `stream` matches, given the new `data`."""
        first, *others = data.split(b"\n")
        rest = self._rest.setdefault(stream, bytearray())
        for line in others:
            if self._ended(rest, first):
                return True
            first = line
        return self._goes_on(rest, first)

    def _ended(self, rest: bytearray, end: bytes) -> bool:
        line = bytes(rest + end)
        rest.clear()
        return self._matches(line)

    def _goes_on(self, rest: bytearray, piece: bytes) -> bool:
        """Whether the unfinished line matches so far."""
        before = len(rest)
        rest += piece
        while len(rest) > _LONGEST_BYTES:
            cut = bytes(rest[:_LONGEST_BYTES])
            del rest[:_LONGEST_BYTES]
            if self._matches(cut):
                return True
            before = 0
        if rest.rfind(b"\r", 0, -1) >= 0 and self._written_over(rest):
            return True
        begin = max(0, min(before, len(rest)) - _LOOK_BACK_BYTES)
        return bool(piece) and self._matches(bytes(rest[begin:]), whole=begin == 0)

    def _written_over(self, rest: bytearray) -> bool:
        """Search what was overwritten, and keep the rest.

        A progress bar is one long line.
        """
        begin = rest.rfind(b"\r", 0, -1) + 1
        before = bytes(rest[:begin])
        del rest[:begin]
        return self._matches(before)

    def _matches(self, line: bytes, *, whole: bool = True) -> bool:
        """Whether a line matches, or only the end of a line if not `whole`."""
        first, *others = line.rstrip(b"\r").split(b"\r")
        start = 0 if whole else 1  # what is before it is no line's beginning
        return self._pattern.is_in(_shown(first), start) or any(
            self._pattern.is_in(_shown(other)) for other in others
        )


def _shown(data: bytes) -> str:
    return plain(data.decode(errors="replace"))


def awaited_line(bound: Bound) -> AwaitedLine | None:
    """The output line to wait for if a task is ready by its log, or None."""
    ready = bound.ready
    return AwaitedLine(ready.target) if ready is not None and ready.kind == "log" else None
