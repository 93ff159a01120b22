"""Find runs and tasks by the names in a request, among the existing ones.

No name from outside is ever joined to a path: it is compared with what a directory lists. A run
or a task whose place is a symbolic link is not there.
"""

from __future__ import annotations

import os
from pathlib import Path

from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.views.inside import directories, task_labels


def every_run(runs: Path) -> list[RunDirectory]:
    """All runs under `runs`, the newest first."""
    found = [
        RunDirectory(runs / cluster / run)
        for cluster in directories(runs)
        for run in directories(runs / cluster)
        if _is_run(runs / cluster / run)
    ]
    return sorted(found, key=lambda run: (run.run, run.cluster), reverse=True)


def find_run(runs: Path, cluster: str, run: str) -> RunDirectory | None:
    """The run of these two names, or None if there is none."""
    if cluster in directories(runs) and run in directories(runs / cluster):
        path = runs / cluster / run
        return RunDirectory(path) if _is_run(path) else None
    return None


def find_task(run: RunDirectory, label: str) -> TaskDirectory | None:
    """The task `worker-3` of a run; None if it has left nothing."""
    return run.task(label) if label in task_labels(run) else None


def _is_run(path: Path) -> bool:
    try:
        return any(os.path.lexists(path / name) for name in ("plan.json", "status.json"))
    except (OSError, ValueError):
        return False
