"""The one writer of a run's `events.jsonl`.

It writes whole lines, in order, on a full disk too.

What the disk does not take is kept in memory, so much at most, and written in order when there is
room again. Reading is `rundir.read_events`'.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.base.json_text import json_text
from tenfold.base.secrets import veiled_all
from tenfold.run import files
from tenfold.run.appending import append, open_to_append

KEPT = 10_000
"""The number of events kept in memory. Later ones are counted only."""


class EventLog:
    """Appends to `path`; `clock` gives seconds since 1970.

    Between the events that were kept back and those after them stands a `disk-back` {path,
    lost_bytes, kept, lost}: how many events came late, and how many are missing there.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises OSError if the file cannot be opened."""
        self._path = path
        self._clock = clock
        self._log = open_to_append(path)
        self._kept: deque[bytes] = deque()
        self._count, self._lost, self._lost_bytes = 0, 0, 0

    def write(self, kind: str, task: str | None = None, **more: object) -> dict[str, Any]:
        """Append one event with the time, and return it. Never raises OSError."""
        event = {"time": round(self._clock(), 3), "kind": kind, "task": task, **veiled_all(more)}
        line = json_text(event).encode() + b"\n"
        self.flush()
        if self._kept or not append(self._log, line):
            self._keep(line)
        return event

    def _keep(self, line: bytes) -> None:
        if not self._kept:
            self._kept.append(self._line("disk-full"))
        if len(self._kept) > KEPT:
            self._lost += 1
            self._lost_bytes += len(line)
        else:
            self._kept.append(line)
            self._count += 1

    def _line(self, kind: str, **more: object) -> bytes:
        event = {"time": round(self._clock(), 3), "kind": kind, "task": None}
        return json.dumps(event | {"path": str(self._path)} | more).encode() + b"\n"

    def flush(self) -> None:
        """Write the kept events, as far as the disk accepts them now."""
        while self._kept:
            if len(self._kept) == 1 and self._count:
                counts = {"lost_bytes": self._lost_bytes, "kept": self._count, "lost": self._lost}
                self._kept.append(self._line("disk-back", **counts))
                self._count = self._lost = self._lost_bytes = 0
            if not append(self._log, self._kept[0]):
                return
            self._kept.popleft()

    def keep(self) -> None:
        """Write all events to a new file if somebody removed or replaced the file."""
        if files.is_open(self._path, self._log):
            return
        files.set_aside(self._path)
        try:
            log = open_to_append(self._path)
        except OSError:
            return
        start = 0
        while piece := os.pread(self._log, 1 << 20, start):
            start += len(piece)
            append(log, piece)
        os.close(self._log)
        self._log = log

    def close(self) -> None:
        """Close the log. Nothing is written afterwards.

        What the disk refuses even now is lost.
        """
        self.flush()
        os.close(self._log)
