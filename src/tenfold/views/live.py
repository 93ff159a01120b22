"""A run as a page shows it: its status, and its tasks' usage and progress.

The shape of `ps --json`, and more: `alive`, `framework`, and of each task `cpu` (cores), `memory`
(bytes), `cpu_s` (seconds of all its lives) and `progress`. Made again and again: a file that did
not change is not read again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.base.naming import label_of
from tenfold.run import files
from tenfold.run.annotations import Annotations
from tenfold.run.rundir import Problems, RunDirectory, read_json
from tenfold.run.states import LIVE, TERMINAL
from tenfold.views import notfinite
from tenfold.views.headline import HeadlineReader
from tenfold.views.progress import makes_sense
from tenfold.views.status import StatusReader
from tenfold.views.usage import UsageReader

_MOST_DAMAGED = 100
_MOST_FIGURES = 50

_BRIEF = (
    "cluster", "run", "cell", "state", "reason", "started", "ended", "seen", "alive", "framework",
    "headline",
)  # fmt: skip


class JsonFiles:
    """Objects in files that are replaced by renaming.

    Each file is parsed once for as long as it stays.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, dict[str, Any] | None]] = {}

    def read(self, path: Path, problems: Problems) -> dict[str, Any] | None:
        """The object in `path`, or None if the file is missing or damaged.

        Damage is noted.
        """
        mark = files.mark(path)
        known = self._known.get(path)
        if known is None or known[0] != mark or known[1] is None:
            known = self._known[path] = (mark, read_json(path, problems))
        return known[1]


class LiveReader:
    """Everything a page shows of one run and its tasks. For one thread at a time."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._status = StatusReader(run)
        self._usage = UsageReader(run)
        self._headline = HeadlineReader(run)
        self._said = JsonFiles()
        self._told: dict[str, Path] = {}
        self.last: tuple[float, dict[str, Any] | None] = (0.0, None)
        """The newest answer and its time by the monotonic clock."""
        self._plan: tuple[object, str | None] = (None, None)

    def read(self) -> dict[str, Any]:
        """The state of the run now.

        This returns whatever the files contain. Damaged ones are listed in `damaged`.
        """
        problems = Problems()
        now = self._read_status(problems)
        now["alive"] = now["age_s"] is not None or self._run.alive()
        now["framework"] = self._framework(problems)
        now["warning"] = _warning(now)
        now["headline"] = self._headline.read(now)
        now["tasks"] = [task for task in now["tasks"] if isinstance(task["task"], str)]
        used = self._read_usage([task["task"] for task in now["tasks"]], problems)
        for task in now["tasks"]:
            live = used.get(task["task"]) if task["state"] in LIVE else None
            task["cpu"] = _number(live, "cpu")
            task["memory"] = _number(live, "memory")
            task["cpu_s"] = _number(used.get(task["task"]), "cpu_s")
            task["progress"] = self._progress(task, problems)
        damaged = {str(path): what for path, what in problems.found.items()}
        now["damaged"] = dict(list((now["damaged"] | damaged).items())[:_MOST_DAMAGED])
        self.last = (time.monotonic(), now)
        return now

    def _read_status(self, problems: Problems) -> dict[str, Any]:
        try:
            return self._status.read(problems)
        except (TypeError, ValueError, AttributeError, KeyError) as error:  # of other types
            problems.add(self._run.path, f"cannot be shown: {error}")
            return _nothing(self._run)

    def _read_usage(self, tasks: list[str], problems: Problems) -> Mapping[str, Any]:
        try:
            return self._usage.read(tasks)
        except (TypeError, ValueError, AttributeError, KeyError, OSError) as error:
            problems.add(self._run.path / "tasks", f"usage cannot be shown: {error}")
            return {}

    def _framework(self, problems: Problems) -> str | None:
        """The framework of the plan, cached.

        The plan never changes and can be large, so that only this is kept.
        """
        mark = files.mark(self._run.plan)
        if mark != self._plan[0]:
            said = (read_json(self._run.plan, problems) or {}).get("framework")
            self._plan = (mark, said if isinstance(said, str) else None)
        return self._plan[1]

    def _progress(self, task: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
        """The progress of the task in its present life, or in its last one."""
        name = task["task"]
        path = self._told.get(name) or self._run.task(label_of(name)).progress
        said = self._said.read(self._told.setdefault(name, path), problems)
        if not makes_sense(said):
            return None
        began = task["started"]
        if task["state"] in LIVE and isinstance(began, (int, float)) and said["time"] < began:
            return None
        return progress_of(said)


def progress_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """`{done, total, unit, rate, figures, time}` of a task, with correct types.

    It is made of what the task reported.
    """
    rate, figures = said.get("rate"), said.get("figures")
    if not isinstance(figures, dict):
        figures = {}
    plain = [
        (name, value if isinstance(value, (str, int)) or math.isfinite(value) else str(value))
        for name, value in figures.items()
        if isinstance(value, (str, int, float))
    ]
    return {
        "done": said["done"],
        "total": said["total"],
        "unit": str(said.get("unit") or "steps"),
        "rate": rate if isinstance(rate, (int, float)) and math.isfinite(rate) else None,
        "figures": dict(plain[:_MOST_FIGURES]),
        "time": said["time"],
    }


def _warning(now: Mapping[str, Any]) -> str | None:
    """A warning to show above every view of a run that has not failed."""
    for task in now["tasks"]:
        if task.get("waits"):
            return f"waiting for {task['task']}: {task['waits']}"
    return notfinite.words(now.get("not_finite") or ())


def _number(found: Any, name: str) -> Any:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def _nothing(run: RunDirectory) -> dict[str, Any]:
    """The shape of a status without any data."""
    empty = dict.fromkeys((
        "cell", "state", "outcome", "reason", "started", "ended", "age_s", "seen", "protection",
        "protection_words", "first_failure",
    ))  # fmt: skip
    head = {"version": 1, "cluster": run.cluster, "run": run.run, "directory": str(run.path)}
    return head | empty | {"consequences": [], "tasks": [], "damaged": {}}


def brief(now: Mapping[str, Any]) -> dict[str, Any]:
    """A run in a line: `{cluster, run, cell, state, reason, …, tasks: {STATE: N}}`.

    N is the number of tasks.
    """
    states: dict[str, int] = {}
    for task in now["tasks"]:
        states[str(task["state"])] = states.get(str(task["state"]), 0) + 1
    return {name: now.get(name) for name in _BRIEF} | {"tasks": states}


class BriefReader:
    """Summaries of many runs. A run that is over is read once."""

    def __init__(self) -> None:
        self._over: dict[Path, tuple[object, dict[str, Any]]] = {}

    def read(self, run: RunDirectory) -> dict[str, Any]:
        """`brief` of a run now, with `damaged` added."""
        mark = (files.mark(run.status), files.mark(run.annotations))
        known = self._over.get(run.path)
        if known is not None and known[0] == mark:
            return known[1]
        now = LiveReader(run).read()
        annotations = Annotations.read(run)
        told = brief(now) | {"damaged": now["damaged"]}
        told |= {"tags": list(annotations.tags), "note": annotations.note or None}
        if not now["alive"] and now["state"] in TERMINAL and not now["damaged"]:
            self._over[run.path] = (mark, told)
        return told

    def forget_but(self, runs: list[RunDirectory]) -> None:
        """Forget runs that no longer exist."""
        there = {run.path for run in runs}
        self._over = {path: known for path, known in self._over.items() if path in there}
