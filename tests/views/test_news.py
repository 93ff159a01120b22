"""Events in words: a table, damaged ones included."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.views.news import CTRL_C, news

RETRY = {"kind": "task-retried", "task": "ps/1", "because": "was killed by SIGKILL", "in_s": 1.2}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            RETRY | {"scope": "cluster", "attempt": 1, "limit": 3},
            "ps/1 was killed by SIGKILL; the training starts again in 1.2 s (1 of 3)",
        ),
        (
            RETRY | {"scope": "cluster", "anew": True, "attempt": 1, "limit": 3},
            "ps/1 was killed by SIGKILL; the training starts again in 1.2 s (1 of 3); "
            "tenfold has no checkpoint of it, and a script that saves its own snapshots resumes "
            "from them",
        ),
        (RETRY | {"scope": "task"}, "ps/1 was killed by SIGKILL; it starts again in 1.2 s"),
        (
            RETRY | {"scope": "job"},
            "ps/1 was killed by SIGKILL; all tasks of its job start again in 1.2 s",
        ),
        (
            {"kind": "task-unkillable", "task": "worker/0", "pid": 7},
            "worker/0 was killed and does not end (pid 7): it is not waited for",
        ),
        (
            {"kind": "hang", "words": "no progress", "report": "/r.txt"},
            "no progress; report: /r.txt",
        ),
        ({"kind": "hang", "words": "no progress", "report": None}, "no progress"),
        ({"kind": "cluster-stopping", "reason": "down"}, "stopping: down"),
        ({"kind": "cluster-stopping", "reason": CTRL_C}, None),
        ({"kind": "note", "message": "\x1b[31mred"}, "␛[31mred"),
        ({"kind": "task-retried"}, None),
        ({"kind": "task-retried", "task": "a", "because": "b", "in_s": "soon"}, None),
        ({"kind": "task-unready", "task": "a", "timeout_s": "x"}, None),
        ({"kind": "task-started", "task": "a"}, None),
        ({"kind": ["no", "word"]}, None),
        ({}, None),
    ],
)
def test_events_in_words(event: dict[str, Any], words: str | None) -> None:
    assert news(event) == words
