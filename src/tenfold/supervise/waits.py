"""Why a task is not ready, from the file that its readiness probe writes."""

from __future__ import annotations

import time

from tenfold.run.rundir import TaskDirectory
from tenfold.run.unready import UnreadyTask

_EVERY_S = 1.0
_USUAL_S = 10.0
"""Seconds of a start that are not reported: imports take seconds."""

_MOST = 5


class WaitWords:
    """Reads why one life of a task is not ready, at most once a second."""

    def __init__(self, directory: TaskDirectory) -> None:
        self.words: str | None = None
        """The last reason, or None."""
        self._path = directory.unready
        self._begun = time.monotonic()
        self._next = self._begun + _EVERY_S
        self._kinds: set[str] = set()

    def news(self) -> str | None:
        """The reason if it is new.

        A reason that differs from the last one in numbers only is not new.
        """
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + _EVERY_S
        said = UnreadyTask.read(self._path)
        if said is None or (words := said.shown) is None:
            return None
        self.words = words
        if not said.sure and self._next < self._begun + _USUAL_S:
            return None
        kind = "".join(letter for letter in words if not letter.isdigit())
        if kind in self._kinds or len(self._kinds) >= _MOST:
            return None
        self._kinds.add(kind)
        return words
