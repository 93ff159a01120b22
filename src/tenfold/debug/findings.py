"""All that can be found out about a run's tasks at one moment, put together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.debug.accounts import Silence, cores, silences
from tenfold.debug.collect import Beside, StackTarget, collect
from tenfold.debug.groups import StackGroup, grouped
from tenfold.debug.stacks import TaskStacks, to_json
from tenfold.debug.suspect import Evidence, Suspect, suspects
from tenfold.planning.plan import Plan
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import BAD, LIVE, TERMINAL

SILENT_S = 5.0
"""Seconds after which an edge that carries nothing is reported."""

_MOST_EDGES = 200
_ENDED = TERMINAL - BAD


@dataclass(frozen=True, slots=True)
class Findings:
    """Tasks and their stacks, groups, silent edges, and suspects, worst first.

    The groups contain the same stacks.

    `seconds` is how long it took to find out.
    """

    tasks: Sequence[TaskStacks]
    groups: Sequence[StackGroup]
    silent: Sequence[Silence]
    suspects: Sequence[Suspect]
    seconds: float

    def to_json(self, *, raw: bool = False) -> dict[str, Any]:
        """`{seconds, suspects, groups, silent, tasks}`.

        With `raw`, the sources' own texts too.
        """
        tasks = self.tasks if raw else [one.without_raw() for one in self.tasks]
        return {
            "seconds": self.seconds,
            "suspects": [{"task": one.task, "because": one.because} for one in self.suspects],
            "groups": [
                {"tasks": [*group.tasks], "lines": [[*lines] for lines in group.lines]}
                for group in self.groups
            ],
            "silent": [
                {"from": e.one, "to": e.other, "silent_s": e.seconds, "cut": e.cut}
                for e in self.silent
            ],
            "tasks": [to_json(one) for one in tasks],
        }


def find(
    run: RunDirectory,
    plan: Plan,
    wanted: Iterable[StackTarget],
    beside: Beside,
    *,
    accused: str | None = None,
    **how: Any,
) -> Findings:
    """Collect and conclude, of those that have not ended well or been stopped.

    `how` is handed on to `collect`. Takes no longer than its bound, and the time to read the
    newest samples.
    """
    began = time.monotonic()
    asked = [one for one in wanted if one.phase not in _ENDED]
    tasks = collect(run, asked, beside, **how)
    up = [one.task for one in asked if one.phase in LIVE]
    quiet = silences(run, plan, up)
    evidence = Evidence(tasks, quiet, cores(run, up), accused)
    long = [edge for edge in quiet if edge.seconds is None or edge.seconds >= SILENT_S]
    long.sort(key=lambda edge: -(float("inf") if edge.seconds is None else edge.seconds))
    return Findings(
        tasks=tasks,
        groups=grouped(tasks),
        silent=long[:_MOST_EDGES],
        suspects=suspects(evidence),
        seconds=round(time.monotonic() - began, 3),
    )
