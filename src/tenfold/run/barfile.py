"""`bar.json` of a task: what the progress bar says that it drew last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from tenfold.run.jsonfiles import JsonFile
from tenfold.run.progress import Progress


@dataclass(frozen=True, slots=True)
class BarFile(JsonFile):
    """A progress bar in a task's output, and how it moves.

    Attributes:
        progress: what it says. Its `total` is None if the bar does not know it, and its `time` is
            when the bar moved last.
        name: the words before its numbers.
        open: whether it may still move: it has no newline, and has not reached its end.
        standing: whether it was drawn again without having moved.
        moves: how many moves were seen in this life of the task.
    """

    progress: Progress = field(default_factory=Progress)
    name: str = ""
    open: bool = False
    standing: bool = False
    moves: int = 0

    @property
    def shown(self) -> Progress | None:
        """Its progress, or None if the file is incomplete."""
        known = self.progress.done is not None and self.progress.time is not None
        return self.progress if known else None

    def to_json(self) -> dict[str, Any]:
        """The contents of the file: those of `progress.json`, and its own."""
        own = {name: getattr(self, name) for name in ("name", "open", "standing", "moves")}
        return self.progress.to_json() | own

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The bar in the result of `to_json`."""
        own = {
            name: value
            for name in ("name", "open", "standing", "moves")
            if (value := data.get(name)) is not None
        }
        return cls(progress=Progress.from_json(data), **own)
