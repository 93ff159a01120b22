"""Find the files that a Python command runs.

These are its script, and the local modules that it imports.

Owns finding and parsing them. A module is local if it is found in the directory that Python puts
first on `sys.path`, or in one of PYTHONPATH, and that directory holds no installed packages.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tenfold.cluster.programs import PythonCommand

MOST_BYTES = 1_000_000
"""Larger files are not read: they hold data."""


@dataclass(frozen=True, slots=True)
class PythonSource:
    """A file with Python in it, or the text of `python -c`.

    For the latter, `file` is in the directory.
    """

    file: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """What people call it."""
        return self.file.name


def home_of(command: PythonCommand, workdir: Path, environment: Mapping[str, str]) -> Path | None:
    """The directory that Python puts first on `sys.path`.

    None if an option tells Python not to put any there.
    """
    flags = "".join(o[1:] for o in command.options if not o.startswith(("-W", "-X")))
    reads_environment = not set(flags) & set("EI")
    if set(flags) & set("PI") or (reads_environment and environment.get("PYTHONSAFEPATH")):
        return None
    if command.kind != "script":
        return workdir
    script = _real(workdir / command.target)
    return script if _is_directory(script) else script.parent


def roots_of(
    command: PythonCommand, workdir: Path, environment: Mapping[str, str]
) -> tuple[Path, ...]:
    """Directories of the command's local modules, in the order of `sys.path`."""
    home = home_of(command, workdir, environment)
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    listed = [workdir / entry for entry in entries if entry or len(entries) > 1]
    found = ([home] if home is not None else []) + [one for one in listed if not _has_packages(one)]
    return tuple(dict.fromkeys(found))


def _has_packages(directory: Path) -> bool:
    """Whether pip or the like installs there."""
    try:
        return any(name.endswith((".dist-info", ".egg-info")) for name in os.listdir(directory))
    except (OSError, ValueError):
        return True


def mains_of(
    command: PythonCommand, workdir: Path, roots: tuple[Path, ...]
) -> list[tuple[PythonSource, bool]]:
    """What the command runs: a script, a module, or code; True: it surely does.

    Scripts that it is given as words count, too: another program may run them, as in `python -m
    pdb train.py`.
    """
    found: list[tuple[PythonSource | None, bool]] = []
    if command.kind == "code":
        found.append((_parsed(workdir / "-c", command.target.encode(errors="replace")), True))
    elif command.kind == "module" and command.target.partition(".")[0] == "tenfold":
        pass  # a standard server
    elif command.kind == "module":
        package = module_files(f"{command.target}.__main__", roots)
        for file in package or module_files(command.target, roots):
            found.append((source(file), True))
    else:
        target = _real(workdir / command.target)
        found.append((source(target / "__main__.py" if _is_directory(target) else target), True))
    for word in command.arguments:
        if word.endswith(".py"):
            found.append((source(workdir / word), False))
    return [(one, sure) for one, sure in found if one is not None]


def module_files(name: str, roots: tuple[Path, ...]) -> list[Path]:
    """The files that the import of a local module runs, outermost package first.

    Empty if the module is not local.
    """
    for root in roots:
        files: list[Path] = []
        place, parts = root, name.split(".")
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if _is_file(place / part / "__init__.py"):
                files.append(place / part / "__init__.py")
            elif last and _is_file(place / f"{part}.py"):
                return [*files, place / f"{part}.py"]
            elif last or not _is_directory(place / part):
                break
            place = place / part
        else:
            return files
    return []


def stamp(file: Path) -> object:
    """A value that changes when the file does. None if there is no file."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def source(file: Path) -> PythonSource | None:
    """A file, parsed; None if it cannot be, or is very large."""
    try:
        found = file.stat()
        if found.st_size > MOST_BYTES or not _is_file(file):
            return None
        return _read(file, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=256)
def _read(file: Path, changed: int, size: int) -> PythonSource | None:
    del changed, size
    return _parsed(file, file.read_bytes())


def _parsed(file: Path, text: bytes) -> PythonSource | None:
    try:
        return PythonSource(file, ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
