"""The part of tenfold that travels with a run, for interpreters that lack tenfold.

A task's script may use `tenfold.task()`, `tenfold.progress()`, the framework helpers and
`tenfold.checkpoint`, and a preload needs `tenfold.launch.preload`. Their modules need nothing but
the standard library of Python 3.10. A run whose tasks use another interpreter than tenfold's own
has a copy of them:

    <run>/interpreter/lib/tenfold/…               the modules
    <run>/interpreter/lib/tenfold-….dist-info/    what `importlib.metadata` says of them
    <run>/interpreter/bin/python                  links to the interpreter, if it needs them

`lib` goes first into PYTHONPATH of these tasks. It holds nothing but tenfold, so that it hides no
module of the user, and a tenfold that is installed in the interpreter is never mixed with it.

Owns that directory, and which modules are in it. Leaves to others: which interpreter a task has
(`cluster.programs`), and the rest of its environment (`environment`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import tenfold
from tenfold.cluster.programs import interpreter_of, search_path
from tenfold.cluster.python_choice import NAMES, PythonChoice, is_own
from tenfold.frameworks import FRAMEWORKS
from tenfold.planning.plan import Bound, Plan
from tenfold.run.rundir import RunDirectory

ENTRIES = (
    "tenfold.tasks.member",
    "tenfold.checkpoint",
    "tenfold.tensorflow",
    "tenfold.torch",
    "tenfold.jax",
    "tenfold.launch.preload",
    "tenfold.services.tensorboard",
    "tenfold.services.jupyter",
    *FRAMEWORKS.values(),
)
"""Modules that tasks import. What these import travels with them."""

_METADATA = """\
Metadata-Version: 2.1
Name: tenfold
Version: {version}
Summary: The part of tenfold that travels with a run.
"""
_ENTRY_POINTS = """\
[torch.backends]
tenfold = tenfold:_imported_by_torch
"""

_COMPLETE = """\
import sys

if sys.prefix == {prefix!r}:  # a task runs a command of tenfold
    __file__ = {file!r}
    __path__ = {path!r}
"""
"""The beginning of the copied `tenfold/__init__.py`.

PYTHONPATH reaches the interpreter that runs tenfold as well, and that one has all of tenfold.
"""

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(tenfold[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)"
    r"|import[ \t]+(tenfold[\w.]*))",
    re.M,
)
_FOR_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)+", re.M)


def library(run: RunDirectory) -> Path:
    """The directory that goes into PYTHONPATH."""
    return run.path / "interpreter" / "lib"


def links(run: RunDirectory) -> Path:
    """The directory with the links `python` and `python3`."""
    return run.path / "interpreter" / "bin"


def prepare(plan: Plan, run: RunDirectory, environment: Mapping[str, str]) -> None:
    """Put into the run directory what the tasks' interpreters need of it.

    `environment` is that of `tenfold up`. Nothing is written for a run whose tasks all have
    tenfold's own interpreter. What is there already is replaced.
    """
    if plan.python is None:
        return
    if plan.python.needs_links():
        links(run).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in NAMES:
            (links(run) / name).unlink(missing_ok=True)
            (links(run) / name).symlink_to(plan.python.path)
    kinds = {(task.command[:2], task.env.get("PATH"), task.workdir) for task in plan.tasks}
    bounds = (
        Bound(command, {"PATH": path} if path else {}, workdir, None)
        for command, path, workdir in kinds
    )
    if any(_needs_library(bound, environment, plan.python) for bound in bounds):
        _copy(library(run))


def with_library(
    bound: Bound, environment: Mapping[str, str], run: RunDirectory, python: PythonChoice
) -> dict[str, str]:
    """`environment`, with the library if the task needs it."""
    made = dict(environment)
    if _needs_library(bound, made, python) and library(run).is_dir():
        before = made.get("PYTHONPATH")
        path = str(library(run))
        made["PYTHONPATH"] = f"{path}{os.pathsep}{before}" if before else path
    return made


_RUNNERS = frozenset(
    {"uv", "conda", "mamba", "micromamba", "pixi", "poetry", "pipenv", "pdm", "hatch", "rye"}
)
"""Programs whose `run` starts a command in an environment that they choose."""


def _needs_library(bound: Bound, environment: Mapping[str, str], python: PythonChoice) -> bool:
    if Path(bound.command[0]).name in _RUNNERS and "run" in bound.command[1:]:
        return True
    search = bound.env.get("PATH") or search_path(environment, python)
    found = interpreter_of(bound.command, Path(bound.workdir), search, python)
    return not is_own(found or python.path)


def modules() -> dict[str, Path]:
    """The modules that travel: their files by their paths below the library."""
    home = Path(tenfold.__file__).parents[1]
    found: dict[str, Path] = {}
    left = list(ENTRIES)
    while left:
        for path in _files(home, left.pop()):
            name = str(path.relative_to(home))
            if name not in found:
                found[name] = path
                left += _imported(path.read_text(encoding="utf-8"))
    return found


def _files(home: Path, module: str) -> Iterator[Path]:
    """The files of a module and of the packages that it is in."""
    place = home
    for part in module.split("."):
        place /= part
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                yield path


def _imported(source: str) -> Iterator[str]:
    for match in _IMPORT.finditer(_FOR_TYPES.sub("", source)):
        package, names, module = match.groups()
        yield module or package
        for name in re.findall(r"\w+", names or ""):
            yield f"{package}.{name}"


def _copy(place: Path) -> None:
    for name, path in modules().items():
        target = place / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    first = place / "tenfold" / "__init__.py"
    package = Path(tenfold.__file__)
    own = _COMPLETE.format(prefix=sys.prefix, file=str(package), path=[str(package.parent)])
    first.write_text(own + first.read_text(encoding="utf-8"), encoding="utf-8")
    said = place / f"tenfold-{tenfold.__version__}.dist-info"
    said.mkdir(mode=0o700, exist_ok=True)
    (said / "METADATA").write_text(_METADATA.format(version=tenfold.__version__))
    (said / "entry_points.txt").write_text(_ENTRY_POINTS)
