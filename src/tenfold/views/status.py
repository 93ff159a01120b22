"""The state of a run, from its directory alone: the shape of `ps --json`.

During the run, after it, and when half of the files are missing. What a dead supervisor left
behind as running is shown for what it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tenfold.base.naming import label_of, name_of
from tenfold.run import files
from tenfold.run.jsonfiles import Problems, read_json
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.run.states import LIVE, TERMINAL, State
from tenfold.supervise.waits import wait_words
from tenfold.views.notfinite import odd_figures

_LONGEST_TOKEN = 1000

_TASK_KEYS = ("state", "address", "host", "pid", "restarts", "exit_code", "signal", "reason",
              "cause", "url", "urls", "started", "ready", "ended")  # fmt: skip


def status(run: RunDirectory, problems: Problems | None = None) -> dict[str, Any]:
    """`{version, cluster, run, directory, cell, state, reason, age_s, tasks: […], …}`.

    `age_s` is how old the newest word of the supervisor is; once the run is over it does not
    matter and is None. Damaged files are noted in `problems` and shown as what is not known.
    """
    return StatusReader(run).read(problems)


@dataclass(frozen=True, slots=True)
class _KnownFile:
    """The contents of a file as of `mark`, and what was wrong with it."""

    mark: object
    value: dict[str, Any] | None
    problems: Problems


class StatusReader:
    """Reads the state of one run repeatedly.

    A file that did not change is not read again.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._known: dict[Path, _KnownFile] = {}

    def read(self, problems: Problems | None = None) -> dict[str, Any]:
        """The result of `status`, now."""
        run, problems = self._run, problems if problems is not None else Problems()
        alive = run.alive()  # first: a supervisor that ends after this has written its last word
        plan = self._file(run.plan, problems) or {}
        said = self._file(run.status, problems) or {}
        lost = not alive and said.get("state") not in TERMINAL
        return {
            "version": 1,
            "cluster": said.get("cluster") or plan.get("cluster") or run.cluster,
            "run": run.run,
            "directory": str(run.path),
            "cell": said.get("cell") or plan.get("cell"),
            "state": State.FAILED.value if lost else said.get("state"),
            "outcome": said.get("outcome"),
            "reason": _lost_words(said) if lost else said.get("reason"),
            "started": said.get("started"),
            "ended": said.get("ended"),
            "age_s": _age(said) if alive else None,
            "seen": said.get("updated"),
            "protection": said.get("protection"),
            "protection_words": said.get("protection_words"),
            "resumed_from": said.get("resumed_from"),
            "hang": said.get("hang"),
            "not_finite": odd_figures(said.get("not_finite")),
            "first_failure": said.get("first_failure"),
            "consequences": said.get("consequences") or [],
            "tasks": [
                self._waits(
                    directory,
                    _task(directory, planned, self._file(directory.status, problems) or {}, lost),
                )
                for directory, planned in self._tasks(plan, problems)
            ],
            "damaged": {str(path): what for path, what in problems.found.items()},
        }

    def _waits(self, directory: TaskDirectory, task: dict[str, Any]) -> dict[str, Any]:
        """`task`, with the reason if it is starting and not ready."""
        if task["state"] == State.STARTING:
            task["waits"] = wait_words(self._file(directory.unready, Problems()))
        return task

    def _file(self, path: Path, problems: Problems) -> dict[str, Any] | None:
        """The object in a file that is replaced by renaming.

        A new object is another file.
        """
        mark = files.mark(path)
        known = self._known.get(path)
        if known is None or known.mark != mark or known.problems.found:
            found = Problems()
            known = self._known[path] = _KnownFile(mark, read_json(path, found), found)
        problems.found.update(known.problems.found)
        return known.value

    def _tasks(
        self, plan: Mapping[str, Any], problems: Problems
    ) -> Iterator[tuple[TaskDirectory, Mapping[str, Any]]]:
        planned = plan.get("tasks")
        if isinstance(planned, list):
            for task in planned:
                if isinstance(task, dict) and isinstance(task.get("task"), str):
                    yield self._run.task(label_of(task["task"])), task
        else:
            for directory in self._run.tasks():
                yield directory, _name(directory, self._file(directory.status, problems) or {})


def _age(said: Mapping[str, Any]) -> float | None:
    updated = said.get("updated")
    if not isinstance(updated, (int, float)):
        return None
    return max(0.0, round(time.time() - updated, 3))


def _lost_words(said: Mapping[str, Any]) -> str:
    if not said:
        return "the supervisor ended before it wrote its status"
    return "the supervisor is gone, probably killed"


def _name(directory: TaskDirectory, said: Mapping[str, Any]) -> dict[str, Any]:
    name = name_of(directory.label)
    job, _, index = name.rpartition("/")
    number = int(index) if index.isdigit() else None
    return {"task": said.get("task", name), "job": job, "index": number}


def _task(
    directory: TaskDirectory, planned: Mapping[str, Any], said: Mapping[str, Any], lost: bool
) -> dict[str, Any]:
    shown = {key: said.get(key) for key in _TASK_KEYS}
    shown["state"] = said.get("state", State.WAITING.value)
    shown["restarts"] = said.get("restarts", 0)
    if lost and shown["state"] in LIVE | {State.RESTARTING}:
        shown |= {"state": State.LOST.value, "pid": None}
    urls = shown["urls"] if isinstance(shown["urls"], dict) else {}
    if shown["url"]:
        shown["url"] = _with_token(shown["url"], directory)
    shown["urls"] = {name: _with_token(url, directory) for name, url in urls.items()}
    shown["waits"] = None
    head = {"task": planned.get("task"), "job": planned.get("job"), "index": planned.get("index")}
    return head | shown


def _with_token(url: str, directory: TaskDirectory) -> str:
    try:
        token = files.read_whole(directory.token, _LONGEST_TOKEN).decode("ascii").strip()
        return f"{url}?token={quote(token)}"
    except (OSError, ValueError):
        return url
