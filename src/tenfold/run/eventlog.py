"""`events.jsonl` of a run: its one writer, and its reader.

The writer writes whole lines, in order. What a full disk refuses is kept in memory, up to a limit,
and written when there is space again.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.base.json_text import json_text
from tenfold.base.older import Self
from tenfold.base.secrets import veiled_all
from tenfold.run import files, records
from tenfold.run.appending import append, open_to_append
from tenfold.run.jsonfiles import Problems

LONGEST_EVENT = 4 << 20
"""The maximum length of a line of `events.jsonl`. A longer one is damaged."""

KEPT = 10_000
"""The number of events kept in memory. Later ones are counted only."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run, `time` in seconds since 1970.

    `more` has the further fields, which depend on `kind` (docs/json.md). A field that is missing or
    has the wrong type is None, or no text.
    """

    kind: str = ""
    time: float | None = None
    task: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """The further field `name` if it is text."""
        value = self.more.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float | None:
        """The further field `name` if it is a number."""
        value = self.more.get(name)
        return value if isinstance(value, (int, float)) else None

    def to_json(self) -> dict[str, Any]:
        """The object in the line of the event."""
        return {"time": self.time, "kind": self.kind or None, "task": self.task, **self.more}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The event in the result of `to_json`. `records.EVENT` states its types."""
        more = {name: value for name, value in data.items() if name not in _COMMON}
        return cls(data.get("kind") or "", data.get("time"), data.get("task"), more)


_COMMON = ("time", "kind", "task")


class EventLog:
    """Appends to `path`. `clock` gives seconds since 1970.

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

    def write(self, kind: str, task: str | None = None, **more: object) -> None:
        """Append one event with the time. Never raises OSError."""
        line = self._line(kind, task, more)
        self.flush()
        if self._kept or not append(self._log, line):
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        if not self._kept:
            self._kept.append(self._of_disk("disk-full"))
        if len(self._kept) > KEPT:
            self._lost += 1
            self._lost_bytes += len(line)
        else:
            self._kept.append(line)
            self._count += 1

    def _of_disk(self, kind: str, **more: object) -> bytes:
        return self._line(kind, None, {"path": str(self._path), **more})

    def _line(self, kind: str, task: str | None, more: Mapping[str, object]) -> bytes:
        event = Event(kind, round(self._clock(), 3), task, veiled_all(more))
        return json_text(event.to_json()).encode() + b"\n"

    def flush(self) -> None:
        """Write the kept events, as far as the disk accepts them now."""
        while self._kept:
            if len(self._kept) == 1 and self._count:
                counts = {"lost_bytes": self._lost_bytes, "kept": self._count, "lost": self._lost}
                self._kept.append(self._of_disk("disk-back", **counts))
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


def read_events(
    path: Path, problems: Problems | None = None, start: int = 0
) -> tuple[list[Event], int]:
    """Read events in `path` from byte `start`.

    Returns the events, and the offset after the last whole line.

    A line that is no JSON object is left out and noted; a last line without its newline is
    still being written and is left for the next call. Of a file that is larger than any run's,
    the end is read.
    """
    try:
        with files.open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size - start > files.MOST_BYTES:
                start = size - files.MOST_BYTES
                if problems is not None:
                    problems.add(path, f"has {size:,} bytes: only its end is read")
                stream.seek(start)
                start += len(stream.readline(files.MOST_BYTES))  # begun before there
            stream.seek(start)
            data = stream.read(files.MOST_BYTES)
    except FileNotFoundError:
        return [], start
    except (OSError, ValueError) as error:
        if problems is not None:
            problems.add(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")
        return [], start
    end = data.rfind(b"\n") + 1 or (len(data) if len(data) > LONGEST_EVENT else 0)
    lines = data[:end].split(b"\n")
    events = (read_event(line, path, problems) for line in lines if line)
    return [event for event in events if event is not None], start + end


def read_event(line: bytes, path: Path, problems: Problems | None = None) -> Event | None:
    """The event in a line of `path`, or None if it is damaged.

    Damage is noted.
    """
    try:
        if len(line) > LONGEST_EVENT:
            raise ValueError("is too long")
        value, wrong = records.typed(records.parse(line), records.EVENT)
    except ValueError:
        value, wrong = None, "has a damaged line"
    if wrong is not None and problems is not None:
        problems.add(path, wrong)
    return None if value is None else Event.from_json(value)
