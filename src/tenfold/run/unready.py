"""`unready.json` of a task: why it runs but is not ready."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.jsonfiles import JsonFile

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class UnreadyTask(JsonFile):
    """Why a task is not ready, `time` in seconds since 1970.

    `words` follow the task's name and a colon. `sure`: it is more than what every start shows for a
    while.
    """

    version: int = 1
    words: str = ""
    sure: bool = False
    time: float | None = None

    @property
    def shown(self) -> str | None:
        """The words, cut, or None if there are none."""
        return self.words[:_LONGEST] or None
