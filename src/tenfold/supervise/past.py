"""What a supervisor finds in its run directory from earlier supervisors.

Restarts that a supervisor which died has used up count on: in the same run, where its place starts
the supervisor anew, and in a run that goes on where another one broke off (`bringup.resume`).
"""

from __future__ import annotations

from tenfold.run.jsonfiles import read_json
from tenfold.run.rundir import RunDirectory
from tenfold.run.statusfiles import ResumedFrom, TaskStatus


def retried(run: RunDirectory) -> dict[str, list[float]]:
    """By task, when it was restarted after failures of its own.

    Times are in seconds since 1970.
    """
    found: dict[str, list[float]] = {}
    handed_on = (read_json(run.resumed) or {}).get("retried")
    for name, moments in handed_on.items() if isinstance(handed_on, dict) else ():
        found[name] = _moments(moments)
    for directory in run.tasks():
        status = TaskStatus.read(directory)
        if status is not None and status.task is not None and status.retried:
            found[status.task] = list(status.retried)
    return found


def _moments(value: object) -> list[float]:
    if not isinstance(value, list):
        return []
    return [float(item) for item in value if isinstance(item, (int, float))]


def set_aside(run: RunDirectory) -> list[tuple[str, str]]:
    """Damaged files of the earlier run that were set aside: (file, new name)."""
    said = (read_json(run.resumed) or {}).get("set_aside")
    entries = [entry for entry in said if isinstance(entry, dict)] if isinstance(said, list) else []
    return [(str(entry.get("file")), str(entry.get("as"))) for entry in entries]


def resumed(run: RunDirectory) -> ResumedFrom | None:
    """The run that this one resumes, its checkpoint and that checkpoint's step.

    None if this run began anew.
    """
    said = read_json(run.resumed)
    if said is None:
        return None
    return ResumedFrom(said.get("run"), said.get("checkpoint"), said.get("step"))
