"""What an event means, in words for whoever follows a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tenfold.errors import printable
from tenfold.quantities import duration_text, limit_text
from tenfold.views.notfinite import event_words

CTRL_C = "stopped by Ctrl-C"
"""Why a run stops when its follower was interrupted; who did it was told already."""

NO_CHECKPOINT = (
    "tenfold has no checkpoint of it, and a script that saves its own snapshots resumes from them"
)
"""What can be said where the run's `checkpoints/` is empty: scripts also save elsewhere."""

Event = Mapping[str, Any]

_AGAIN = {
    "job": "all tasks of its job start again",
    "cluster": "the training starts again",
}


def _retried(event: Event) -> str:
    again = _AGAIN.get(str(event.get("scope")), "it starts again")
    number = f" ({event['attempt']} of {event['limit']})" if event.get("limit") else ""
    words = f"{event['task']} {event['because']}; {again} in {duration_text(event['in_s'])}{number}"
    return f"{words}; {NO_CHECKPOINT}" if event.get("anew") else words


def _unready(event: Event) -> str:
    words = f"{event['task']} could not be used after {limit_text(event['timeout_s'])}"
    return f"{words}: {event['words']}" if event.get("words") else words


def _hung(event: Event) -> str:
    report = event.get("report")  # none, if the disk was full
    return f"{event['words']}; report: {report}" if report else str(event["words"])


_NEWS: Mapping[str, str | Callable[[Event], str]] = {
    "task-retried": _retried,
    "task-waits": "waiting for {task}: {words}",
    "task-unready": _unready,
    "task-refused": "{task} could not be started: {reason}",
    "task-unkillable": "{task} was killed and does not end (pid {pid}): it is not waited for",
    "restart-asked": "{task}: restart asked for",
    "hang": _hung,
    "progress-resumed": "it goes on",
    "not-finite": event_words,
    "set-aside": "{file} is damaged, and was set aside as {as}",
    "disk-full": "the disk is full: {path} cannot be written",
    "disk-back": "the disk has room again: {lost_bytes:,} bytes of {path} were lost",
    "cluster-stopping": "stopping: {reason}",
    "error": "{message}",
    "note": "{message}",
}


def news(event: Event) -> str | None:
    """What `event` means; None if it means nothing to people, or is damaged."""
    words = _NEWS.get(str(event.get("kind"))) if event.get("reason") != CTRL_C else None
    if words is None:
        return None
    try:
        return printable(words.format_map(event) if isinstance(words, str) else words(event))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
