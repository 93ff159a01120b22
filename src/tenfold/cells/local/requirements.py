"""What a local run needs before it starts: packages, ports and open files.

Owns the checks and their words; commands and scripts that do not exist are `check`'s, since they
have a place in the file.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tenfold.errors import InputError, UnavailableError
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan, Task
from tenfold.run.rendezvous import hold_port
from tenfold.services import REQUIREMENTS


def require_packages(plan: Plan) -> None:
    """Raise UnavailableError if a package is missing for `plan`.

    The error contains the command that installs it.
    """
    missing = sorted({need for need in _needs(plan) if importlib.util.find_spec(need[0]) is None})
    if not missing:
        return
    names = " and ".join(module for module, _ in missing)
    packages = " ".join(f"'{package}'" for _, package in missing)
    raise UnavailableError(
        f"{names} is not installed for {sys.executable}",
        hint=f"{_pip()} install {packages}",
    )


def require_ports(plan: Plan) -> None:
    """Raise InputError if a port that `plan` requests by number is in use.

    Only ports of this machine are checked.

    Ports of the run's own network are never taken. One that is free now is held again, for good,
    when the run starts.
    """
    for task in plan.tasks:
        names = task.ports if task.network == "host" else task.publish
        for name in names:
            wanted = task.ports.get(name)
            if wanted is not None:
                _require_port(task, wanted)


def require_files(plan: Plan) -> None:
    """Raise UnavailableError if `plan` needs more open files than allowed.

    This concerns the files of the supervisor.

    It raises its own limit as far as it may: to the hard limit, which counts here.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    need = files_needed(plan)
    if hard != resource.RLIM_INFINITY and need > hard:
        count = f"{len(plan.tasks)} tasks" if len(plan.tasks) > 1 else "1 task"
        raise UnavailableError(
            f"{count} need {need} open files, and at most {hard} are allowed here (ulimit -Hn)",
            hint=f"ulimit -n {need} in a new shell, or as root: prlimit --nofile={need} --pid $$",
        )


def files_needed(plan: Plan) -> int:
    """The maximum number of files that the supervisor of `plan` has open at once."""
    return _FILES_A_TASK * len(plan.tasks) + _OWN_FILES


_FILES_A_TASK = 11
_OWN_FILES = 40
"""Files that a supervisor has open without tasks, and some for requests."""


def _require_port(task: Task, wanted: int) -> None:
    try:
        hold_port(wanted).close()
    except InputError as error:
        message = f"{task.name}: {error.message}"
        raise InputError(message, hint=error.hint, cause=error) from error


def _needs(plan: Plan) -> Iterator[tuple[str, str]]:
    required = framework(plan.framework).requirement()
    for task in plan.tasks:
        if task.job in REQUIREMENTS and task.service and task.command[0] == sys.executable:
            yield REQUIREMENTS[task.job]
        elif required is not None and _runs_own_python(task, os.environ):
            yield required


def _runs_own_python(task: Task, environment: Mapping[str, str]) -> bool:
    """Whether the task uses this interpreter, so that a check here is valid for it."""
    program = task.command[0]
    if program == sys.executable:
        return True
    if not Path(program).name.startswith("python") or environment.get("VIRTUAL_ENV"):
        return False
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    return found is not None


def _pip() -> str:
    beside = Path(sys.executable).with_name("pip")
    return str(beside) if beside.exists() else f"{sys.executable} -m pip"
