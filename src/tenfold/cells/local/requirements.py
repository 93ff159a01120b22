"""What a local run needs before it starts: packages, ports and open files.

Owns the checks and their words; commands and scripts that do not exist are `check`'s, since they
have a place in the file.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold.cluster.programs import interpreter_of, is_python, search_path
from tenfold.cluster.python_choice import is_own
from tenfold.cluster.python_probe import install_command, installed
from tenfold.errors import InputError, UnavailableError
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan, Task
from tenfold.run.rendezvous import hold_port
from tenfold.services import REQUIREMENTS


@dataclass(frozen=True, slots=True, order=True)
class MissingPackages:
    """Modules that tasks need and that their interpreter, at `python`, does not have.

    `requirements` are what pip installs to have them.
    """

    python: str
    modules: tuple[str, ...]
    requirements: tuple[str, ...]

    @property
    def message(self) -> str:
        """`torch is not installed for /home/ann/venv/bin/python`."""
        verb = "are" if len(self.modules) > 1 else "is"
        return f"{' and '.join(self.modules)} {verb} not installed for {self.python}"

    @property
    def hint(self) -> str:
        """The command that installs them."""
        return install_command(self.python, *self.requirements)


def missing_packages(plan: Plan) -> list[MissingPackages]:
    """The packages that the tasks of `plan` lack, by interpreter.

    An interpreter that does not answer lacks nothing that is known.
    """
    wanted: dict[tuple[str, str | None], dict[str, str]] = {}
    for task in _kinds(plan):
        for python, module, requirement in _needs(plan, task):
            asked = (python, task.env.get("PYTHONPATH"))
            wanted.setdefault(asked, {})[module] = requirement
    found: set[MissingPackages] = set()
    for (python, path), needs in wanted.items():
        has = installed(python, needs, python_path=path)
        if has.problem is not None:
            continue
        lacking = [module for module in needs if not has.has(module)]
        if lacking:
            requirements = tuple(needs[module] for module in lacking)
            found.add(MissingPackages(python, tuple(lacking), requirements))
    return sorted(found)


def _kinds(plan: Plan) -> Iterable[Task]:
    """One task of each kind. The tasks of a kind need the same packages."""
    found: dict[tuple[object, ...], Task] = {}
    for task in plan.tasks:
        variables = (task.env.get("PATH"), task.env.get("PYTHONPATH"))
        found.setdefault((task.job, task.command[0], task.workdir, *variables), task)
    return found.values()


def require_packages(plan: Plan) -> None:
    """Raise UnavailableError if a package is missing for `plan`.

    The error contains the command that installs it.
    """
    missing = missing_packages(plan)
    if missing:
        message = "; ".join(each.message for each in missing)
        raise UnavailableError(message, hint=" && ".join(each.hint for each in missing))


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


def _needs(plan: Plan, task: Task) -> Iterator[tuple[str, str, str]]:
    """The interpreter, module and requirement of each package that a task needs.

    A job with an interpreter of its own may not use the framework, unless it belongs to the
    training.
    """
    if task.job in REQUIREMENTS and task.service and task.command[0] == sys.executable:
        yield sys.executable, *REQUIREMENTS[task.job]
        return
    required = framework(plan.framework).requirement()
    if required is None or not is_python(task.command):
        return
    python = _python_of(plan, task)
    chosen = sys.executable if plan.python is None else plan.python.path
    if python is not None and (task.member or Path(python).parent == Path(chosen).parent):
        module, requirement = required
        yield python, module, requirement if is_own(python) else module


def _python_of(plan: Plan, task: Task) -> str | None:
    """The interpreter of a task, as far as it is known before the run."""
    if "${" in task.workdir or "${" in task.command[0]:
        return None
    search = task.env.get("PATH") or search_path(os.environ, plan.python)
    return interpreter_of(task.command, Path(task.workdir), search, plan.python)
