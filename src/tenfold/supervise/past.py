"""What a supervisor finds in its run directory from earlier supervisors.

Restarts that a supervisor which died has used up count on: in the same run, where its place starts
the supervisor anew, and in a run that goes on where another one broke off (`bringup.resume`).
"""

from __future__ import annotations

from tenfold.run.resumed import ResumedRun, SetAside
from tenfold.run.rundir import RunDirectory
from tenfold.run.statusfiles import ResumedFrom, TaskStatus


def retried(run: RunDirectory) -> dict[str, tuple[float, ...]]:
    """By task, when it was restarted after failures of its own.

    Times are in seconds since 1970.
    """
    found = dict(_earlier(run).retried)
    for directory in run.tasks():
        status = TaskStatus.read(directory.status)
        if status is not None and status.task is not None and status.retried:
            found[status.task] = status.retried
    return found


def set_aside(run: RunDirectory) -> tuple[SetAside, ...]:
    """Damaged files of the earlier run that were set aside."""
    return _earlier(run).set_aside


def resumed(run: RunDirectory) -> ResumedFrom | None:
    """The run that this one resumes, its checkpoint and that checkpoint's step.

    None if this run began anew.
    """
    earlier = ResumedRun.read(run.resumed)
    if earlier is None:
        return None
    return ResumedFrom(earlier.run, earlier.checkpoint, earlier.step)


def _earlier(run: RunDirectory) -> ResumedRun:
    return ResumedRun.read(run.resumed) or ResumedRun()
