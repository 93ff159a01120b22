"""Events of a run in pieces, from a byte of `events.jsonl` on."""

from __future__ import annotations

from typing import Any

from tenfold.run.eventlog import LONGEST_EVENT, read_event
from tenfold.run.files import read_piece, size_of
from tenfold.run.jsonfiles import Problems
from tenfold.run.rundir import RunDirectory
from tenfold.views.eventtexts import sentence, tone

MOST_BYTES = LONGEST_EVENT
"""The maximum size of one piece, and of an event that is shown."""


def events_from(run: RunDirectory, start: int = 0) -> dict[str, Any]:
    """`{version, events, start, next, more, damaged}`: events from byte `start` on.

    All of these events are whole.

    Each has its `text`, a sentence, and its `tone`: bad, care, good or plain.

    `next` is where to go on; `more` whether there is something already. A last line that is still
    being written is left for later, one that is no JSON object is left out and noted.
    """
    size = size_of(run.events)
    start = min(max(0, start), size)
    data = read_piece(run.events, start, MOST_BYTES)
    whole = data[: data.rfind(b"\n") + 1] if len(data) < MOST_BYTES or b"\n" in data else data
    problems = Problems()
    lines = [line for line in whole.split(b"\n") if line]
    found = (read_event(line, run.events, problems) for line in lines)
    events = [
        event.to_json() | {"text": sentence(event), "tone": tone(event)}
        for event in found
        if event is not None
    ]
    damaged = {str(path): what for path, what in problems.found.items()}
    after = start + len(whole)
    return {
        "version": 1,
        "events": events,
        "start": start,
        "next": after,
        "more": len(data) == MOST_BYTES and after < size,
        "damaged": damaged,
    }


def end_of_events(run: RunDirectory) -> int:
    """The offset after the last whole event."""
    size = size_of(run.events)
    begin = max(0, size - MOST_BYTES)
    return begin + read_piece(run.events, begin, MOST_BYTES).rfind(b"\n") + 1
