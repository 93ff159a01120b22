"""The newest report of a hang, for the page: who is suspected, and the stacks."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tenfold.debug.groups import grouped
from tenfold.debug.stacks import TaskStacks, from_json
from tenfold.debug.words import group_words
from tenfold.run import files
from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import RunDirectory

_MOST_GROUPS = 40
_MOST_LINES = 120
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class ShownStacks:
    """Tasks with the same stack, `lines`. `head` names them and their state."""

    tasks: tuple[str, ...]
    head: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HangSuspect:
    """A task that probably holds up the others."""

    task: str
    because: str


@dataclass(frozen=True, slots=True)
class ShownHang:
    """A report of `hangs/TIME/report.json` as the page shows it."""

    time: float | None
    task: str | None
    words: str
    path: str
    suspects: tuple[HangSuspect, ...]
    groups: tuple[ShownStacks, ...]
    lines: tuple[str, ...]
    """The last lines of the suspected task."""


def newest_hang(run: RunDirectory) -> dict[str, Any]:
    """`{version, hang}`: a `ShownHang`, or None if no hang was reported."""
    home = run.path / "hangs"
    if home.name in files.directories(run.path):
        for name in sorted(files.directories(home), reverse=True):
            path = home / name / "report.json"
            if (report := read_json(path)) is not None:
                return {"version": 1, "hang": asdict(shown_hang(report, str(path)))}
    return {"version": 1, "hang": None}


def shown_hang(report: Mapping[str, Any], path: str) -> ShownHang:
    """A report, without values of a wrong type."""
    task, moment, lines = report.get("task"), report.get("time"), report.get("lines")
    own = lines.get(task) if isinstance(lines, dict) else None
    return ShownHang(
        time=moment if isinstance(moment, (int, float)) else None,
        task=task if isinstance(task, str) else None,
        words=str(report.get("words") or "it makes no progress")[:_LONGEST],
        path=path,
        suspects=tuple(
            HangSuspect(str(one.get("task")), str(one.get("because"))[:_LONGEST])
            for one in _objects(report.get("suspects"))
        ),
        groups=_stacks(report),
        lines=_texts(own)[-20:],
    )


def _stacks(report: Mapping[str, Any]) -> tuple[ShownStacks, ...]:
    """The groups of identical stacks, as the text of the report has them."""
    tasks: list[TaskStacks] = []
    for one in _objects(report.get("tasks")):
        with contextlib.suppress(TypeError, KeyError, AttributeError, ValueError):
            tasks.append(from_json(one))
    shown = []
    for group in grouped(tasks)[:_MOST_GROUPS]:
        head, *lines = [text for text, _ in group_words(group)]
        shown.append(ShownStacks(group.tasks, head, _texts(lines)))
    return tuple(shown)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    told = value if isinstance(value, list) else []
    return tuple(str(text)[:_LONGEST] for text in told[:_MOST_LINES])
