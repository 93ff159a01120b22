"""The Python interpreter that `python` in a command means.

Owns the order in which it is looked for, and what an active environment looks like. Leaves to
others: running it to learn its version (`python_probe`), and the PATH of a task (`programs`).

The order: `--set python=…`, TENFOLD_PYTHON, `python:` in the file, `python` in the user's settings,
VIRTUAL_ENV, CONDA_PREFIX, `.venv` beside the file, and tenfold's own interpreter.

Nothing here imports anything heavy: the supervisor and every task read it as part of the plan.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

AUTO = "auto"
"""The setting that stands for the automatic order."""

OWN = "tenfold"
"""The source of tenfold's own interpreter."""

BESIDE = ".venv"
"""The directory beside the cluster file that may hold a virtual environment."""

OLDEST = (3, 10)
"""The oldest Python version that the modules of tenfold inside a task support."""

NAMES = ("python", "python3")
"""Names of the interpreter in commands."""

_VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX")


@dataclass(frozen=True, slots=True)
class PythonChoice:
    """The interpreter that `python` means in the commands of a plan.

    Attributes:
        path: absolute path of the interpreter.
        source: what names it: `VIRTUAL_ENV`, `CONDA_PREFIX`, `.venv`, `tenfold` (tenfold's own), or
            the origin of the setting `python`, such as `the cluster file`.
        version: its version, such as `3.12.1`. None if it is not known.
        own: whether it is the interpreter that runs tenfold.
        problem: why it cannot run tasks, as a sentence. None if it can.
        notes: environments that would have come first, and why they were not used.
    """

    path: str
    source: str
    version: str | None = None
    own: bool = False
    problem: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def bin(self) -> str:
        """The directory of the interpreter, where its scripts (`torchrun`, `pip`) are."""
        return os.path.dirname(self.path)  # noqa: PTH120

    @property
    def root(self) -> str:
        """The directory of the environment, which holds `bin`."""
        return os.path.dirname(self.bin)  # noqa: PTH120

    def needs_links(self) -> bool:
        """Whether `python` or `python3` beside it is missing or another interpreter.

        `/usr/bin/python3.12` is an example.
        """
        return any(not _same_program(f"{self.bin}/{name}", self.path) for name in NAMES)

    def has_safe_path(self) -> bool:
        """Whether the interpreter knows the option `-P`, as Python 3.11 and later do."""
        parts = (self.version or "3.11").split(".")
        return tuple(map(int, parts[:2])) >= (3, 11)

    def words(self) -> str:
        """`/home/ann/venv/bin/python (Python 3.12.1, from VIRTUAL_ENV)`."""
        source = "tenfold's own" if self.source == OWN else f"from {self.source}"
        version = f"Python {self.version}, " if self.version else ""
        return f"{self.path} ({version}{source})"

    def to_json(self) -> dict[str, Any]:
        """The shape of `python` in `plan --json`."""
        made = {field.name: getattr(self, field.name) for field in fields(self)}
        return made | {"notes": list(self.notes)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PythonChoice:
        """The choice that `to_json` wrote. Unknown fields are left out."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**known | {"notes": tuple(known.get("notes", ()))})


def own_python() -> PythonChoice:
    """tenfold's own interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return PythonChoice(sys.executable, OWN, version, own=True)


def is_own(path: str) -> bool:
    """Whether an interpreter is the one that runs tenfold, under any of its names."""
    same_place = _same_program(os.path.dirname(path), os.path.dirname(sys.executable))  # noqa: PTH120
    return same_place and _same_program(path, sys.executable)


def activated(environment: Mapping[str, str], python: PythonChoice) -> dict[str, str]:
    """`environment` with the variables that an activation of `python` sets.

    An environment that is active already stays as it is, and tenfold's own is not activated. PATH
    is left to others.
    """
    made = dict(environment)
    if python.source in (*_VARIABLES, OWN):
        return made
    made.pop("VIRTUAL_ENV", None)
    if os.path.exists(f"{python.root}/pyvenv.cfg"):  # noqa: PTH110
        made["VIRTUAL_ENV"] = python.root
    elif os.path.isdir(f"{python.root}/conda-meta"):  # noqa: PTH112
        made["CONDA_PREFIX"] = python.root
    return made


def is_shim(path: str) -> bool:
    """Whether a program starts another one that depends on the working directory.

    The shims of pyenv, asdf and mise do.
    """
    return Path(path).parent.name == "shims"


def named(text: str, source: str, directory: Path, environment: Mapping[str, str]) -> PythonChoice:
    """The interpreter that a setting names.

    Args:
        text: a path, relative to `directory`, of an interpreter or of the directory of an
            environment; the name of a program on PATH (`python3.12`); or a version (`3.12`). An
            environment in `directory` precedes a program of its name, such as `env`.
        source: the origin of the setting.
        directory: the directory of relative paths.
        environment: the environment whose PATH is searched.
    """
    path = Path(os.path.abspath(directory / text))  # noqa: PTH100 - links of a venv must stay
    if "/" not in text and not path.is_dir() and (found := _on_path(text, environment)):
        return _made(found, source)
    if not path.is_dir():
        if path.is_file() and os.access(path, os.X_OK):
            return _made(str(path), source)
        return PythonChoice(str(path), source, problem=_unusable(path, text))
    if (inner := _python_of(path)) is not None:
        return _made(inner, source)
    problem = f"the directory {path} has no bin/python"
    return PythonChoice(str(path / "bin" / "python"), source, problem=problem)


def detected(directory: Path, environment: Mapping[str, str]) -> PythonChoice:
    """The interpreter that is used if no setting names one.

    It is that of the active environment, of `.venv` in `directory`, or tenfold's own.
    """
    notes: list[str] = []
    for source, root in _environments(directory, environment):
        found = _python_of(root)
        if found is not None:
            return replace(_made(found, source), notes=tuple(notes))
        if source in _VARIABLES or os.path.lexists(root / "pyvenv.cfg"):
            notes.append(f"{source} is not used: {root} has no bin/python that can be started")
    return replace(own_python(), notes=tuple(notes))


def _environments(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name in _VARIABLES:
        if environment.get(name):
            yield name, Path(environment[name])
    yield BESIDE, directory / BESIDE


def _made(path: str, source: str) -> PythonChoice:
    return PythonChoice(path, source, own=is_own(path))


def _on_path(text: str, environment: Mapping[str, str]) -> str | None:
    import shutil

    name = f"python{text}" if text.replace(".", "").isdigit() else text
    return shutil.which(name, path=environment.get("PATH", os.defpath))


def _unusable(path: Path, text: str) -> str:
    if os.path.lexists(path):
        return f"{path} is not a program that can be started"
    return f"{path} does not exist" if "/" in text else f"there is no program {text} on PATH"


def _python_of(root: Path) -> str | None:
    """The interpreter of the environment in `root`, or None."""
    for name in NAMES:
        path = root / "bin" / name
        if path.is_file() and os.access(path, os.X_OK):
            return os.path.abspath(path)  # noqa: PTH100 - links of a venv must stay
    return None


def _same_program(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False
