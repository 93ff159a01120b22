"""The whole environment of a task: its variables and their precedence.

From weakest to strongest: what is inherited from where `tenfold up` was typed (`inherited`), what
makes a good process (thread limits, unbuffered output), the framework's view of the cluster,
tenfold's own names, the file. One that the user set where they typed `up` also beats a good
process's.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace

from tenfold.cluster.programs import search_path
from tenfold.cluster.python_choice import PythonChoice, activated
from tenfold.errors import TenfoldError
from tenfold.frameworks import Addresses, framework
from tenfold.launch import together
from tenfold.planning.late import bind
from tenfold.planning.plan import Bound, Plan, Task
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.inherited import inheritable, past_proxies
from tenfold.tasks.library import links, with_library

_OURS = "TENFOLD_"
_DEFAULTS = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
"""Defaults for every Python task.

Output appears when it is printed, and a crash in native code prints Python's stack.
"""


def task_environment(
    plan: Plan,
    task: Task,
    addresses: Addresses,
    ports: Mapping[str, int],
    run: RunDirectory,
    inherited: Mapping[str, str],
    listen: str = "127.0.0.1",
) -> Bound:
    """`task` as it is started: every `${…}` is filled in.

    `env` is its whole environment.

    `listen` is where a page has to listen to be reached from outside its place.
    """
    bound = bind(task, addresses=addresses, run_directory=str(run.path), ports=ports)
    frame = framework(plan.framework)
    python = plan.python
    _require(python)
    base = inheritable(inherited, plan.cell, plan.framework, addresses)
    base = base if python is None else activated(base, python)
    good = frame.process_environment(task.job, len(plan.tasks), _cores(plan, task))
    environment = _DEFAULTS | good | base
    environment |= {
        "PATH": search_path(base, python, str(links(run))),
        "WANDB_RUN_GROUP": base.get("WANDB_RUN_GROUP", inherited.get("TENFOLD_RUN", run.run)),
    }
    environment |= frame.environment(task.job, task.index, addresses)
    environment |= _own(plan, task, addresses, ports, run) | {f"{_OURS}BIND": listen}
    environment |= bound.env
    environment |= {
        name: value
        for name, value in past_proxies(environment, addresses).items()
        if name not in bound.env
    }
    environment = together.with_order(environment, bound.command, bound.workdir)
    if python is not None:
        environment = with_library(bound, environment, run, python)
    return replace(bound, env=environment)


def _require(python: PythonChoice | None) -> None:
    """Raise TenfoldError if the interpreter of the tasks is not on this machine.

    Another `python` on PATH would take its place.
    """
    if python is not None and not os.access(python.path, os.X_OK):
        raise TenfoldError(
            f"{python.path} (from {python.source}) does not exist on {socket.gethostname()}",
            hint="put the environment on a file system that all nodes share",
        )


def _cores(plan: Plan, task: Task) -> int:
    """The number of cores that all tasks share.

    If this task requests some, every task is assumed to have as many.
    """
    if task.cpu is not None:
        return max(1, int(task.cpu)) * len(plan.tasks)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _own(
    plan: Plan, task: Task, addresses: Addresses, ports: Mapping[str, int], run: RunDirectory
) -> dict[str, str]:
    named = {f"{_OURS}PORT_{name.upper().replace('-', '_')}": str(p) for name, p in ports.items()}
    return named | {
        f"{_OURS}CLUSTER": plan.cluster,
        f"{_OURS}RUN_DIRECTORY": str(run.path),
        f"{_OURS}TASK": task.name,
        f"{_OURS}ADDRESS": addresses[task.job][task.index],
    }
