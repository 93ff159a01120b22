"""Events as sentences, for `up`, `tenfold events` and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from tenfold.base.json_text import json_text
from tenfold.base.quantities import duration_text, limit_text
from tenfold.errors import printable
from tenfold.run.eventlog import Event
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

Tone = Literal["bad", "care", "good", "plain"]

_AGAIN = {
    "job": "all tasks of its job restart",
    "cluster": "the training restarts",
}


def _because(words: str) -> Callable[[Event], str]:
    def text(event: Event) -> str:
        reason = event.text("reason")
        return f"{words}: {reason}" if reason else words

    return text


def _started(event: Event) -> str:
    restarts, host, pid = event.number("restarts"), event.text("host"), event.number("pid")
    again = f" again (restart {restarts})" if restarts else ""
    where = f" on {host}" if host else ""
    pid_text = f", pid {pid}" if pid else ""
    return f"{event.task} started{again}{where}{pid_text}"


def _end(event: Event) -> str:
    if signal := event.text("signal"):
        return f"was killed by {signal}"
    code = event.number("exit_code")
    return "ended" if code == 0 else f"exited with code {'unknown' if code is None else code}"


def _exited(event: Event) -> str:
    state = event.text("state")
    words = f"{event.task} {event.text('reason') or _end(event)}"
    return f"{words} ({state})" if state else words


def _left(event: Event) -> str:
    words = "its child processes are still running and get SIGTERM"
    return f"{event.task} {_end(event)}; {words}"


def _retried(event: Event) -> str:
    again = _AGAIN.get(event.text("scope") or "", "it restarts")
    number = _filled(" ({attempt} of {limit})", event) if event.number("limit") else ""
    words = _filled("{task} {because}; ", event)
    words += f"{again} in {duration_text(_needed(event, 'in_s'))}{number}"
    return f"{words}; {NO_CHECKPOINT}" if event.more.get("anew") else words


def _unready(event: Event) -> str:
    words = _filled("{task} was not ready after ", event) + limit_text(_needed(event, "timeout_s"))
    return words + _filled(": {words}", event) if event.text("words") else words


def _hung(event: Event) -> str:  # without a report if the disk was full
    return _filled("{words}; report: {report}" if event.text("report") else "{words}", event)


def _resumed(event: Event) -> str:
    if event.text("checkpoint"):
        return _filled("the run resumes from run {run}, step {step}", event)
    return _filled("the restarts of run {run} count, too", event)


def _filled(words: str, event: Event) -> str:
    """`words` with the event's fields. Raises KeyError if one of them is missing."""
    return words.format_map(_known(event))


def _needed(event: Event, name: str) -> float:
    value = event.number(name)
    if value is None:
        raise KeyError(name)
    return value


def _known(event: Event) -> dict[str, object]:
    return {key: value for key, value in event.to_json().items() if value is not None}


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
    return _text(event) if event.kind in _NEWS and event.text("reason") != CTRL_C else None


def sentence(event: Event) -> str:
    """A sentence about the event, and its hint.

    For a damaged or unknown event, its fields are listed.
    """
    text = _text(event) or _fields(event)
    hint = event.text("hint")
    return f"{text} ({printable(hint)})" if hint else text


def tone(event: Event) -> Tone:
    """How bad an event is."""
    if event.kind == "task-exited":
        failed = event.text("state") == State.FAILED or event.text("signal")
        return "bad" if failed else "plain"
    return next((tone for tone, kinds in _TONES.items() if event.kind in kinds), "plain")


def _text(event: Event) -> str | None:
    words = _TEXTS.get(event.kind)
    if words is None:
        return None
    try:
        return printable(_filled(words, event) if isinstance(words, str) else words(event))
    except (KeyError, ValueError, TypeError):
        return None


def _fields(event: Event) -> str:
    words = [
        f"{key}={value if isinstance(value, str) else json_text(value)}"
        for key, value in _known(event).items()
        if key not in ("time", "kind", "hint")
    ]
    return printable("  ".join(words))
