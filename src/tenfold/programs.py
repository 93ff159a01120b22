"""Programs and scripts that a command needs, and whether this machine has them.

Owns: looking as the tasks would, and the nearest name to one that is not there. Leaves to others:
which commands there are (`check`) and Python packages (`requirements`).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tenfold.errors import shown
from tenfold.nearest import did_you_mean, nearest

_PYTHON = re.compile(r"python[0-9.]*")


class Missing(NamedTuple):
    """What a command cannot start without; `word` is its position in the command."""

    word: int
    message: str
    hint: str | None


def is_python(command: Sequence[str]) -> bool:
    """Whether a command's program is a Python interpreter, by its name."""
    return bool(command) and _PYTHON.fullmatch(Path(command[0]).name) is not None


def script_of(command: Sequence[str]) -> str | None:
    """The Python script that a command runs, `train.py` of `python -u train.py`."""
    if not is_python(command):
        return None
    for word in command[1:]:
        if word in ("-m", "-c", "-"):
            return None
        if not word.startswith("-"):
            return word if "${" not in word else None
    return None


def search_path(environment: Mapping[str, str]) -> str:
    """Where tasks find programs: beside tenfold's own interpreter, unless a venv is active."""
    path = environment.get("PATH", os.defpath)
    if environment.get("VIRTUAL_ENV"):
        return path
    return os.pathsep.join([str(Path(sys.executable).parent), path])


def missing(command: Sequence[str], workdir: Path, search: str) -> Missing | None:
    """What `command`, started in `workdir`, lacks here; None if nothing, as far as can be told."""
    program = command[0]
    if "${" not in program and not _is_program(program, workdir, search):
        what = f"there is no program {shown(program)}" + ("" if "/" in program else " on PATH")
        return Missing(0, what, _nearest_program(program, workdir, search))
    script = script_of(command)
    if script is None or _exists(workdir / script):
        return None
    directory = (workdir / script).parent
    near = did_you_mean(Path(script).name, _listing(directory))
    hint = near or f"it is looked for in {directory}"
    return Missing(list(command).index(script), f"there is no script {shown(script)}", hint)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_program(program: str, workdir: Path, search: str) -> bool:
    try:
        if "/" in program:
            return (workdir / program).is_file() and os.access(workdir / program, os.X_OK)
        return shutil.which(program, path=search) is not None
    except (OSError, ValueError):
        return False


def _nearest_program(program: str, workdir: Path, search: str) -> str | None:
    if "/" in program:
        path = workdir / program
        if _exists(path):
            return f"make it executable: chmod +x {program}"
        near = nearest(path.name, _listing(path.parent))
        return f"did you mean {program.rpartition('/')[0]}/{near}?" if near else None
    if program.endswith(".py"):
        return f"write python {program}"
    names = {name for part in search.split(os.pathsep) for name in _listing(Path(part or "."))}
    return did_you_mean(program, sorted(names), 0.75) or "is it installed?"


def _listing(directory: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except (OSError, ValueError):
        return []
