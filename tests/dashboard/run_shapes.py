"""What the files of a fake run say at first: the plan, and the states of cluster and tasks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Any

from tenfold.planning.plan import Plan, RestartPolicy, Task
from tenfold.run.rundir import RunDirectory

SERVICES = ("tensorboard", "jupyter")
HOST = "here"


def plan_of(cluster: str, framework: str, jobs: Mapping[str, int], env: Mapping[str, str]) -> Plan:
    """The plan of these jobs, whose tasks all run `python train.py`."""
    ports = itertools.count(2000)
    tasks = tuple(
        Task(
            job=job,
            index=index,
            command=("python", "train.py"),
            env={"TENFOLD_RUN_DIRECTORY": "${run.directory}", **env},
            workdir="/tmp",
            ports={"main": next(ports)},
            restart=RestartPolicy("on-failure"),
            service=job in ("ps", *SERVICES),
            needed=job not in SERVICES,
        )
        for job, count in jobs.items()
        for index in range(count)
    )
    return Plan(
        cluster=cluster,
        framework=framework,
        cell="local",
        directory="/tmp",
        tasks=tasks,
        success=("chief",) if "chief" in jobs else tuple(jobs),
        file="/tmp/tenfold.yaml",
    )


def task_status(task: Task, number: int, began: float, begun: bool) -> dict[str, Any]:
    """The first status.json of a task, which can be used already if it has `begun`."""
    return {
        "version": 1,
        "task": task.name,
        "job": task.job,
        "index": task.index,
        "state": "running" if begun else "starting",
        "address": f"127.0.0.1:{task.ports['main']}",
        "host": HOST,
        "pid": 1000 + number,
        "restarts": 0,
        "exit_code": None,
        "signal": None,
        "url": None,
        "urls": {},
        "started": began,
        "ready": began + 2 if begun else None,
        "ended": None,
    }


def cluster_status(run: RunDirectory, began: float) -> dict[str, Any]:
    """The first status.json of a run."""
    return {
        "version": 1,
        "cluster": run.cluster,
        "run": run.run,
        "cell": "local",
        "state": "starting",
        "outcome": None,
        "reason": None,
        "started": began,
        "ended": None,
        "host": HOST,
        "supervisor_pid": os.getpid(),
        "protection": "namespace",
        "protection_words": "a separate network",
        "first_failure": None,
        "consequences": [],
    }
