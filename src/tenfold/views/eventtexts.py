"""Events as sentences, for `up`, `tenfold events` and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from tenfold.base.json_text import json_text
from tenfold.base.quantities import duration_text, limit_text
from tenfold.errors import printable
from tenfold.run.states import State
from tenfold.views.notfinite import event_words

CTRL_C = "stopped by Ctrl-C"
"""Why a run stops when its follower was interrupted.

The follower has already reported it.
"""

NO_CHECKPOINT = (
    "tenfold has no checkpoint of it, and a script that saves its own snapshots resumes from them"
)
"""The message for an empty `checkpoints/`. Scripts may also save elsewhere."""

Event = Mapping[str, Any]
Tone = Literal["bad", "care", "good", "plain"]

_AGAIN = {
    "job": "all tasks of its job restart",
    "cluster": "the training restarts",
}


def _because(words: str) -> Callable[[Event], str]:
    return lambda event: f"{words}: {event['reason']}" if event.get("reason") else words


def _started(event: Event) -> str:
    again = f" again (restart {event['restarts']})" if event.get("restarts") else ""
    host = f" on {event['host']}" if event.get("host") else ""
    pid = f", pid {event['pid']}" if event.get("pid") else ""
    return f"{event['task']} started{again}{host}{pid}"


def _end(event: Event) -> str:
    if event.get("signal"):
        return f"was killed by {event['signal']}"
    code = event.get("exit_code")
    return "ended" if code == 0 else f"exited with code {'unknown' if code is None else code}"


def _exited(event: Event) -> str:
    state = f" ({event['state']})" if event.get("state") else ""
    return f"{event['task']} {event.get('reason') or _end(event)}{state}"


def _left(event: Event) -> str:
    words = "its child processes are still running and get SIGTERM"
    return f"{event['task']} {_end(event)}; {words}"


def _retried(event: Event) -> str:
    again = _AGAIN.get(str(event.get("scope")), "it restarts")
    number = f" ({event['attempt']} of {event['limit']})" if event.get("limit") else ""
    words = f"{event['task']} {event['because']}; {again} in {duration_text(event['in_s'])}{number}"
    return f"{words}; {NO_CHECKPOINT}" if event.get("anew") else words


def _unready(event: Event) -> str:
    words = f"{event['task']} was not ready after {limit_text(event['timeout_s'])}"
    return f"{words}: {event['words']}" if event.get("words") else words


def _hung(event: Event) -> str:
    report = event.get("report")  # none, if the disk was full
    return f"{event['words']}; report: {report}" if report else str(event["words"])


def _resumed(event: Event) -> str:
    if event.get("checkpoint"):
        return f"the run resumes from run {event['run']}, step {event['step']}"
    return f"the restarts of run {event['run']} count, too"


_TEXTS: Mapping[str, str | Callable[[Event], str]] = {
    "cluster-starting": "the run is starting",
    "cluster-running": "all tasks are running",
    "cluster-stopping": _because("stopping"),
    "cluster-succeeded": _because("the run succeeded"),
    "cluster-failed": _because("the run failed"),
    "cluster-stopped": _because("the run was stopped"),
    "task-started": _started,
    "task-ready": "{task} is ready",
    "task-waits": "waiting for {task}: {words}",
    "task-unready": _unready,
    "task-refused": "{task} could not be started: {reason}",
    "task-signalled": "{task} was sent {signal}",
    "task-left": _left,
    "task-exited": _exited,
    "task-retried": _retried,
    "restarted-with": "{task} restarts together with {because}",
    "task-unkillable": (
        "{task} was killed but does not end (pid {pid}); tenfold no longer waits for it"
    ),
    "restart-asked": "{task} is restarted on request",
    "resumed": _resumed,
    "hang": _hung,
    "progress-resumed": "it makes progress again",
    "not-finite": event_words,
    "set-aside": "{file} is damagedand was renamed to {as}",
    "disk-full": "the disk is full: {path} cannot be written",
    "disk-back": "the disk has space again: {lost_bytes:,} bytes of {path} were lost",
    "notified": "{to} was notified: {about}",
    "notify-failed": "{to} could not be notified ({about}): {message}",
    "error": "{message}",
    "note": "{message}",
}

_NEWS = {
    "cluster-stopping", "task-waits", "task-unready", "task-refused", "task-retried",
    "task-unkillable", "restart-asked", "hang", "progress-resumed", "not-finite", "set-aside",
    "disk-full", "disk-back", "notify-failed", "error", "note",
}  # fmt: skip
"""Events that `up` reports while it follows a run."""

_TONES: Mapping[Tone, set[str]] = {
    "bad": {
        "cluster-failed", "task-refused", "task-unready", "task-unkillable", "hang", "disk-full",
        "error",
    },
    "care": {
        "cluster-stopping", "cluster-stopped", "task-waits", "task-signalled", "task-retried",
        "restarted-with", "restart-asked", "not-finite", "set-aside", "disk-back",
        "notify-failed",
    },
    "good": {"cluster-running", "cluster-succeeded", "task-ready"},
}  # fmt: skip


def news(event: Event) -> str | None:
    """What `up` reports of `event`, or None.

    None means that there is nothing to report, or that the event is damaged.
    """
    of_interest = str(event.get("kind")) in _NEWS and event.get("reason") != CTRL_C
    return _known(event) if of_interest else None


def sentence(event: Event) -> str:
    """A sentence about the event, and its hint.

    For a damaged or unknown event, its fields are listed.
    """
    text = _known(event) or _fields(event)
    hint = event.get("hint")
    return f"{text} ({printable(hint)})" if isinstance(hint, str) and hint else text


def tone(event: Event) -> Tone:
    """How bad an event is."""
    kind = str(event.get("kind"))
    if kind == "task-exited":
        return "bad" if event.get("state") == State.FAILED or event.get("signal") else "plain"
    return next((tone for tone, kinds in _TONES.items() if kind in kinds), "plain")


def _known(event: Event) -> str | None:
    words = _TEXTS.get(str(event.get("kind")))
    if words is None:
        return None
    known = {key: value for key, value in event.items() if value is not None}
    try:
        return printable(words.format_map(known) if isinstance(words, str) else words(event))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _fields(event: Event) -> str:
    rest = {key: value for key, value in event.items() if value is not None}
    words = [
        f"{key}={value if isinstance(value, str) else json_text(value)}"
        for key, value in rest.items()
        if key not in ("time", "kind", "hint")
    ]
    return printable("  ".join(words))
