"""Why a run ended and which task failed first, of a status alone. Pure.

A status that has the run's `headline` (`views.headline`) is told in its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def because(status: Mapping[str, Any]) -> str:
    """Why a run ended, to follow its state.

    This is the text of the headline, or the reason in status.json.

    Without a `headline` in `status`, as in a list of many runs, no other file is read.
    """
    told = status.get("headline")
    start = f"{status['cluster']} {status['state']}: "
    if isinstance(told, str) and told.startswith(start):
        return told.removeprefix(start)
    reason = status["reason"]
    words = reason if isinstance(reason, str) else ""
    first = status.get("first_failure")
    exception = first.get("exception") if isinstance(first, dict) else None
    line = exception.get("line") if isinstance(exception, dict) else None
    if isinstance(line, str) and words.startswith(f"{first['task']} "):  # type: ignore[index]
        return f'{words}: it says "{line}"'
    return words


def first_failed(status: Mapping[str, Any]) -> str | None:
    """The name of the task that failed first."""
    first = status.get("first_failure")
    task = first.get("task") if isinstance(first, dict) else None
    return task if isinstance(task, str) else None
