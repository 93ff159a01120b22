"""The exception or panic that ended a program, as status.json holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.base.older import Self


@dataclass(frozen=True, slots=True)
class TracebackFrame:
    """One frame: a line of a program. `source` is its text, if it was printed."""

    file: str
    line: int
    function: str | None = None
    source: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: object) -> Self | None:
        """The frame in the result of `to_json`. None if it names no line.

        Anybody can have written it.
        """
        if not isinstance(data, dict):
            return None
        file, line = data.get("file"), data.get("line")
        if not isinstance(file, str) or not isinstance(line, int):
            return None
        return cls(file, line, _text(data, "function"), _text(data, "source"))


@dataclass(frozen=True, slots=True)
class Broken:
    """An exception or panic that ended a program.

    Attributes:
        line: what says most, of one line; message: all of it, and what came right after it.
        frame: the last one of the user's own code, or the last one.
        root: the line of the exception from which this one followed, if there is another.
    """

    line: str
    message: tuple[str, ...]
    frame: TracebackFrame | None = None
    root: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        frame = self.frame and self.frame.to_json()
        return {"line": self.line, "message": list(self.message), "frame": frame, "root": self.root}

    @classmethod
    def from_json(cls, data: object) -> Self | None:
        """The exception in the result of `to_json`. None if it has no line.

        Anybody can have written it.
        """
        if not isinstance(data, dict) or (line := _text(data, "line")) is None:
            return None
        message = data.get("message")
        lines = tuple(str(one) for one in message) if isinstance(message, list) else ()
        return cls(line, lines, TracebackFrame.from_json(data.get("frame")), _text(data, "root"))


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None
