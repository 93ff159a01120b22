"""Events in words: a table, damaged ones included."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.run.eventlog import Event
from tenfold.views.eventtexts import CTRL_C, news, sentence, tone

RETRY = {"kind": "task-retried", "task": "ps/1", "because": "was killed by SIGKILL", "in_s": 1.2}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            RETRY | {"scope": "cluster", "attempt": 1, "limit": 3},
            "ps/1 was killed by SIGKILL; the training restarts in 1.2 s (1 of 3)",
        ),
        (
            RETRY | {"scope": "cluster", "anew": True, "attempt": 1, "limit": 3},
            "ps/1 was killed by SIGKILL; the training restarts in 1.2 s (1 of 3); "
            "tenfold has no checkpoint of it, and a script that saves its own snapshots resumes "
            "from them",
        ),
        (RETRY | {"scope": "task"}, "ps/1 was killed by SIGKILL; it restarts in 1.2 s"),
        (
            RETRY | {"scope": "job"},
            "ps/1 was killed by SIGKILL; all tasks of its job restart in 1.2 s",
        ),
        (
            {"kind": "task-unkillable", "task": "worker/0", "pid": 7},
            "worker/0 was killed but does not end (pid 7); tenfold no longer waits for it",
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
        ({}, None),
    ],
)
def test_up_prints_only_important_events(event: dict[str, Any], words: str | None) -> None:
    assert news(Event.from_json(event)) == words


STARTED = {"kind": "task-started", "task": "ps/1", "pid": 7, "host": "n1", "restarts": 0}
EXITED = {"kind": "task-exited", "task": "ps/1", "exit_code": None, "signal": None}


@pytest.mark.parametrize(
    ("event", "text", "expected"),
    [
        (STARTED, "ps/1 started on n1, pid 7", "plain"),
        (STARTED | {"restarts": 2}, "ps/1 started again (restart 2) on n1, pid 7", "plain"),
        (
            EXITED | {"exit_code": 3, "state": "failed"},
            "ps/1 exited with code 3 (failed)",
            "bad",
        ),
        (EXITED | {"exit_code": 0, "state": "succeeded"}, "ps/1 ended (succeeded)", "plain"),
        (EXITED | {"signal": "SIGTERM"}, "ps/1 was killed by SIGTERM", "bad"),
        (EXITED | {"reason": "ran out of memory"}, "ps/1 ran out of memory", "plain"),
        (EXITED, "ps/1 exited with code unknown", "plain"),
        ({"kind": "cluster-running", "reason": None}, "all tasks are running", "good"),
        ({"kind": "cluster-failed", "reason": "ps/1 died"}, "the run failed: ps/1 died", "bad"),
        ({"kind": "cluster-stopped", "reason": None}, "the run was stopped", "care"),
        ({"kind": "note", "message": "m", "hint": "look"}, "m (look)", "plain"),
        ({"kind": "resumed", "run": "r", "checkpoint": "c", "step": 4},
         "the run resumes from run r, step 4", "plain"),
        ({"kind": "resumed", "run": "r", "checkpoint": None},
         "the restarts of run r count, too", "plain"),
        ({"kind": "new", "task": "ps/1", "n": 1, "more": None, "list": [1]},
         "task=ps/1  n=1  list=[1]", "plain"),
        ({"kind": "task-signalled", "task": "ps/1", "signal": None}, "task=ps/1", "care"),
        ({}, "", "plain"),
    ],
)  # fmt: skip
def test_every_event_has_a_sentence_and_a_tone(
    event: dict[str, Any], text: str, expected: str
) -> None:
    made = Event.from_json(event)
    assert (sentence(made), tone(made)) == (text, expected)
