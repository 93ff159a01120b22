"""Ask Python interpreters what they are and which packages they have.

Owns the questions, which every Python since 2.7 understands, and `chosen`, the interpreter of a
cluster with its version. An interpreter that hangs costs a limited time. The answers are kept for
the life of this process.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.base.paths import user_path
from tenfold.cluster import settings
from tenfold.cluster.python_choice import (
    AUTO,
    OLDEST,
    PythonChoice,
    detected,
    is_own,
    is_shim,
    named,
)
from tenfold.cluster.template import fill

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded

_TIME_S = 30.0

_VERSION = (
    "import sys; print('tenfold=%d.%d.%d %s' % (tuple(sys.version_info[:3]) + (sys.executable,)))"
)
"""Imports nothing else: the working directory is searched for modules with `-c`."""

_PACKAGES = """
import sys; sys.path[:] = [p for p in sys.path if p]
import json, importlib.util, importlib.metadata as metadata
def place(name):
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        return None
    return None if spec is None else spec.origin
def version(name):
    try:
        return metadata.version(name)
    except Exception:
        return None
modules, distributions = json.loads(sys.argv[1])
print("tenfold=" + json.dumps([{m: place(m) for m in modules},
    {d: version(d) for d in distributions}]))
"""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an interpreter has, of what it was asked for.

    Attributes:
        modules: the file of each module, None if it is not there.
        versions: the version of each distribution, None if it is not installed.
        problem: why it did not answer. None if it did.
    """

    modules: Mapping[str, str | None] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)
    problem: str | None = None

    def has(self, module: str) -> bool:
        """Whether the module is there."""
        return self.modules.get(module) is not None


def chosen(loaded: Loaded, environment: Mapping[str, str] | None = None) -> PythonChoice:
    """The interpreter that `python` means in a cluster, with its version.

    `environment` is that of the user's shell, this process's if None. The interpreter is started
    once to tell its version, except tenfold's own.
    """
    known = os.environ if environment is None else environment
    said = loaded.cluster.python
    if said is not None:
        said = fill(said, lambda _: None)
    place = loaded.place("python")
    flag = said if place is not None and place.file.startswith("--set") else None
    setting = settings.resolve("python", flag, {"python": said})
    if setting.value == AUTO:
        found = detected(loaded.directory, known)
    else:
        from_file = said is not None and setting.value == said
        home = loaded.directory if from_file else Path.cwd()
        origin = "--set python" if flag else setting.origin
        found = named(str(user_path(setting.value, origin)), origin, home, known)
    return examined(found, loaded.directory)


def examined(choice: PythonChoice, directory: Path) -> PythonChoice:
    """`choice` with its version, and with the reason if tasks cannot use it.

    A shim of pyenv, asdf or mise is replaced by the interpreter that it starts in `directory`.
    """
    if choice.problem is not None:
        return choice
    if choice.own:
        return replace(choice, version=".".join(map(str, sys.version_info[:3])))
    version, path, problem = version_of(choice.path, str(directory))
    if problem is not None:
        return replace(choice, problem=problem)
    made = replace(choice, version=version)
    if path and is_shim(choice.path):
        made = replace(made, path=path, own=is_own(path))
    return replace(made, problem=too_old(made.path, version))


def too_old(path: str, version: str | None) -> str | None:
    """Why tenfold cannot support an interpreter of this version. None if it does."""
    if version is None or tuple(map(int, version.split(".")[:2])) >= OLDEST:
        return None
    oldest = ".".join(map(str, OLDEST))
    return f"{path} is Python {version}, and tenfold supports tasks in Python {oldest} or later"


@functools.cache
def version_of(path: str, directory: str) -> tuple[str | None, str | None, str | None]:
    """The version of an interpreter, its own path, and why it did not answer."""
    said, problem = _answer([path, "-E", "-S", "-c", _VERSION], directory)
    if said is None:
        return None, None, problem
    version, _, executable = said.partition(" ")
    return version, executable, None


@functools.cache
def _installed(
    path: str, modules: tuple[str, ...], distributions: tuple[str, ...], python_path: str | None
) -> Installed:
    question = [path, "-c", _PACKAGES, json.dumps([modules, distributions])]
    said, problem = _answer(question, os.path.dirname(path), python_path)  # noqa: PTH120
    if said is None:
        return Installed(problem=problem)
    places, versions = json.loads(said)
    return Installed(places, versions)


def installed(
    path: str,
    modules: Collection[str],
    distributions: Collection[str] = (),
    python_path: str | None = None,
) -> Installed:
    """Which of these modules and distributions the interpreter at `path` has.

    It imports none of them. Its `site` and PYTHONPATH (`python_path`, or this process's if None)
    count, the working directory does not. tenfold's own is looked at in this process.
    """
    if is_own(path) and python_path is None:
        return Installed({name: _origin(name) for name in modules}, _versions(distributions))
    return _installed(path, tuple(modules), tuple(distributions), python_path)


def _origin(module: str) -> str | None:
    import importlib.util

    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        return None if spec is None else spec.origin
    return None


def _versions(distributions: Collection[str]) -> dict[str, str | None]:
    import importlib.metadata  # late, as in frameworks.packages

    found: dict[str, str | None] = dict.fromkeys(distributions)
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def install_command(path: str, *requirements: str) -> str:
    """The command that installs packages for the interpreter at `path`.

    `PATH -m pip install …`, or that of uv for an environment that has no pip.
    """
    words = " ".join(shlex.quote(each) for each in requirements)
    python = shlex.quote(path)
    found = installed(path, ("pip",))
    if found.problem is None and found.modules["pip"] is None:
        if shutil.which("uv") is not None:
            return f"uv pip install --python {python} {words}"
        return f"{python} -m ensurepip && {python} -m pip install {words}"
    return f"{python} -m pip install {words}"


def _answer(
    command: Sequence[str], directory: str, python_path: str | None = None
) -> tuple[str | None, str | None]:
    """What an interpreter printed after `tenfold=`, or why it printed nothing."""
    path = command[0]
    more: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
    if python_path is not None:
        more["env"] = os.environ | {"PYTHONPATH": python_path}
    try:
        done = subprocess.run(command, cwd=directory, timeout=_TIME_S, check=False, **more)
    except subprocess.TimeoutExpired:
        return None, f"{path} did not answer within {_TIME_S:.0f} s"
    except OSError as error:
        return None, f"{path} cannot be started: {error.strerror}"
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith("tenfold="):
            return line.removeprefix("tenfold="), None
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    reason = (
        said[0 if is_shim(path) else -1].strip() if said else f"it exited with {done.returncode}"
    )
    return None, f"{path} is not a Python interpreter that works: {reason[:200]}"
