"""The cluster file's directory at a place that does not see this machine's files."""

from __future__ import annotations

from dataclasses import replace

from tenfold.planning.plan import Plan

WORKSPACE = "/workspace"
"""The cluster file's directory, in containers."""

RUN_DIRECTORY = "/var/log/tenfold"
"""The run directory, in containers: the shared log volume of the 2016 talk."""


def inside(plan: Plan, there: str = WORKSPACE) -> Plan:
    """`plan` with every working directory below the file's moved to `there`.

    Other working directories stay.
    """
    home = plan.directory.rstrip("/").replace("${", "$${")

    def moved(workdir: str) -> str:
        if workdir == home or workdir.startswith(home + "/"):
            return there + workdir[len(home) :]
        return workdir

    tasks = tuple(replace(task, workdir=moved(task.workdir)) for task in plan.tasks)
    return replace(plan, tasks=tasks)
