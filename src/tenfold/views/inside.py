"""Open files of a run directory without following links in it.

A task can put a symbolic link where its log should be. Views that show whole files open them here.
"""

from __future__ import annotations

from pathlib import Path

from tenfold.run import files
from tenfold.run.rundir import RunDirectory


def directories(path: Path) -> set[str]:
    """Names of the directories in `path`; hidden ones and links are left out."""
    return set(files.directories(path))


def task_labels(run: RunDirectory) -> set[str]:
    """The labels of the tasks that have a directory of their own, inside the run's."""
    return directories(run.path / "tasks") if "tasks" in directories(run.path) else set()
