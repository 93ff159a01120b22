"""Which preloaded process a task is forked from.

Two tasks share one when they run the same interpreter with the same options in the same network,
want the same modules, and agree on every variable that an import may look at. Such are the
variables that are the same for all tasks of the cluster, and of the others those that interpreters,
the system's libraries or the framework are known to read when they are loaded. The rest (who a task
is, where its peers are, what else differs between tasks) is set after the fork, before the task's
program begins.

What the task's own script does before its imports counts too (`scripts`): variables that it surely
sets are there when the preload imports; where it is not sure what an import would see, there is no
preload for the task.

Owns: that choice. Leaves to others: starting such a process (`client`), and being one (`preload`).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tenfold
from tenfold.cluster.programs import python_command
from tenfold.cluster.python_choice import is_shim
from tenfold.cluster.scripts.early import Action, actions
from tenfold.cluster.scripts.sources import home_of
from tenfold.cluster.scripts.verdict import PreloadVerdict, matters, verdict
from tenfold.frameworks import Framework, framework
from tenfold.launch.preload import BOOT
from tenfold.planning.plan import Bound, Plan, Task

_READ_AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_")
"""Beginnings of variables that are read before a program's first line.

Interpreters and libraries read them.
"""

_ALSO_READ_AT_START = frozenset({"HOME", "TZ", "PATH", "VIRTUAL_ENV"})

_LATE = ("TENFOLD_",)
"""Variables that identify a task. Nothing reads them before the task runs."""

_RUN = "TENFOLD_RUN_DIRECTORY"
"""The same for all tasks.

A preloaded process has it, so that everybody can see to which run it belongs.
"""

_OWN_HOME = str(Path(tenfold.__file__).parents[1])

_SPARE_BYTES = 4096
_WORD_BYTES = 100_000  # the kernel takes no word of 128 KiB (execve(2), MAX_ARG_STRLEN)
_SPARE = "TENFOLD_SPARE_"


@dataclass(frozen=True, slots=True)
class Preload:
    """The description of a preloaded process. Equal ones share a process.

    Attributes:
        interpreter: path of the Python program.
        options: its own options, `-u` for example.
        modules: what it imports, in this order.
        variables: its environment, sorted.
        directory: where it is started, which matters only to a relative PYTHONPATH and to the shims
            of pyenv; else `/`.
        network: the run's or the host's, as its tasks want.
        home: the directory that holds the package tenfold, for this interpreter.
    """

    interpreter: str
    options: tuple[str, ...]
    modules: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    directory: str
    network: Literal["cluster", "host"]
    home: str = _OWN_HOME

    def argv(self) -> list[str]:
        """The command line. The launch server that starts it adds the last arguments."""
        return [self.interpreter, *self.options, "-c", BOOT, self.home, ",".join(self.modules)]

    def environment(self, room_for: Mapping[str, str]) -> dict[str, str]:
        """Its environment, with spare room for that of the tasks (see `script.show_as`)."""
        spare = sum(len(name) + len(value) + 2 for name, value in room_for.items()) + _SPARE_BYTES
        words = range(0, spare, _WORD_BYTES)
        return dict(self.variables) | {f"{_SPARE}{begin}": "-" * _WORD_BYTES for begin in words}


@dataclass(frozen=True, slots=True)
class Choice:
    """What a task is forked from, or None for nothing, and the reason.

    The reason is None if it need not be reported.

    Modules in `directories` are found before those that the preload has imported.
    """

    preload: Preload | None
    obstacle: Action | None = None
    directories: tuple[Path, ...] = ()


class Preloads:
    """The choice for the tasks of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._framework = framework(plan.framework)
        self._differing = _differing([task for task in plan.tasks if task.preload != ()])

    def of(self, task: Task, bound: Bound) -> Choice:
        """What `task` is forked from, or nothing if it is started as a program.

        That is what does not run Python, what wants nothing imported, what does something before
        its imports that they may look at, and, where there is no Linux, everything: elsewhere the
        system's own libraries do not survive a fork. Reads the files that the task runs.
        """
        modules = self._modules(task)
        command = python_command(bound.command)
        if not modules or command is None or sys.platform != "linux":
            return Choice(None)
        interpreter = _interpreter(command.interpreter, bound)
        if interpreter is None:
            return Choice(None)
        found = self._verdict(task, bound, modules)
        if found.obstacle is not None:
            return Choice(None, found.obstacle)
        late = frozenset(self._framework.variables(task.job))
        variables = {
            name: value
            for name, value in sorted(bound.env.items())
            if name not in late
            and (name == _RUN or not name.startswith(_LATE))
            and (name not in self._differing or _is_read_at_start(name, self._framework))
        }
        made = Preload(
            interpreter,
            command.options,
            modules,
            tuple(sorted((variables | dict(found.values)).items())),
            _directory(bound, interpreter),
            task.network,
            _home(bound),
        )
        home = home_of(command, Path(bound.workdir), bound.env)
        first = (*found.directories, *([home] if home is not None else []))
        return Choice(made, directories=first)

    def wants(self, task: Task, bound: Bound) -> bool:
        """Whether `of` reads files for the task.

        If not, there is nothing to fork it from.
        """
        modules = self._modules(task)
        return bool(modules) and python_command(bound.command) is not None

    def _modules(self, task: Task) -> tuple[str, ...]:
        return self._framework.preload() if task.preload is None else task.preload

    def _verdict(self, task: Task, bound: Bound, modules: tuple[str, ...]) -> PreloadVerdict:
        done = actions(bound.command, Path(bound.workdir), bound.env)
        reads = matters(self._framework, task.job, modules)
        return verdict(done, reads, bound.env, modules)


def _interpreter(name: str, bound: Bound) -> str | None:
    """Path of the interpreter, or None if it is missing.

    Starting the task reports that.
    """
    if "/" in name:
        return str(Path(bound.workdir, name))
    return shutil.which(name, path=bound.env.get("PATH", os.defpath))


def _directory(bound: Bound, interpreter: str) -> str:
    path = bound.env.get("PYTHONPATH", "")
    relative = path and any(not entry.startswith("/") for entry in path.split(os.pathsep))
    return bound.workdir if relative or is_shim(interpreter) else "/"


def _home(bound: Bound) -> str:
    """The directory that holds the package tenfold, for the interpreter of a task.

    It is the library in the run directory if the task has one (`tenfold.tasks.library`).
    """
    library = f"{bound.env.get(_RUN)}/interpreter/lib"
    return library if library in bound.env.get("PYTHONPATH", "").split(os.pathsep) else _OWN_HOME


def _differing(tasks: Sequence[Task]) -> frozenset[str]:
    """Variables whose values in the file differ between tasks.

    A text with `${…}` that only a placed task knows counts as different.
    """
    names = {name for task in tasks for name in task.env}
    return frozenset(name for name in names if not _agreed(name, tasks))


def _agreed(name: str, tasks: Sequence[Task]) -> bool:
    first = tasks[0].env.get(name)
    if first is None or "${" in first:
        return False
    return all(task.env.get(name) == first for task in tasks)


def _is_read_at_start(name: str, frame: Framework) -> bool:
    return (
        name in _ALSO_READ_AT_START
        or name.startswith(_READ_AT_START)
        or frame.reads_at_import(name)
    )
