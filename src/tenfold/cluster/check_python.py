"""What is wrong or unwise about the interpreter that `python` means.

Owns the words of these faults and warnings. Leaves to others: which interpreter it is
(`python_choice`), and packages that it lacks (`cells.local.requirements`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tenfold
from tenfold.cluster.command_line import WordsError, split
from tenfold.cluster.file.places import Remark
from tenfold.cluster.python_choice import BESIDE, NAMES, PythonChoice
from tenfold.cluster.python_probe import installed
from tenfold.errors import Fault, Severity

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded

_DETECTED = ("VIRTUAL_ENV", "CONDA_PREFIX", BESIDE)


def fault(loaded: Loaded, python: PythonChoice) -> Fault | None:
    """Why tasks cannot use the interpreter, or None.

    One that nobody named matters only if a command says `python`.
    """
    if python.problem is None or (python.source in _DETECTED and not _is_used(loaded)):
        return None
    message = f"{python.problem} (from {python.source})"
    hint = "name another interpreter or environment: python: PATH in the file, or TENFOLD_PYTHON"
    return _placed(loaded, Remark(("python",), message, hint))


def warnings(loaded: Loaded, python: PythonChoice) -> Iterator[Fault]:
    """Warnings about environments that are not used, and about another tenfold."""
    for note in python.notes:
        yield _warning(loaded, note, "activate another environment, or name one: python: PATH")
    beside = loaded.directory / BESIDE
    base = os.environ.get("CONDA_DEFAULT_ENV") in ("base", "root")
    if python.source == "CONDA_PREFIX" and base and (beside / "pyvenv.cfg").exists():
        message = f"conda's environment base is active, and takes precedence over {beside}"
        yield _warning(loaded, message, f"conda deactivate, or name it: python: {BESIDE}")
    if not python.own and python.problem is None:
        found = installed(python.path, (), ("tenfold",)).versions.get("tenfold")
        if found is not None and found != tenfold.__version__:
            message = f"{python.path} has tenfold {found}; tasks use {tenfold.__version__} instead"
            yield _warning(loaded, message, f"the run brings {tenfold.__version__} along")


def unused(loaded: Loaded, cell: str) -> Iterator[Fault]:
    """A warning about `python:` on a cell whose images have their own Python."""
    if loaded.cluster.python is not None:
        message = f"is not used on {cell}: `python` in a command is that of the image"
        remark = Remark(("python",), message, "name another one in `run`, or build another image")
        yield loaded.fault(remark, "warning")


def _is_used(loaded: Loaded) -> bool:
    for job in loaded.cluster.jobs.values():
        runs = [job.run, *(override.run for override in job.overrides.values() if override.run)]
        if any(run is None or _first(run) in NAMES for run in runs):
            return True
    return False


def _first(run: str | tuple[str, ...]) -> str | None:
    try:
        words = split(run) if isinstance(run, str) else run
    except WordsError:
        return None
    return words[0] if words else None


def _warning(loaded: Loaded, message: str, hint: str) -> Fault:
    return _placed(loaded, Remark(("python",), message, hint), "warning")


def _placed(loaded: Loaded, remark: Remark, severity: Severity = "fault") -> Fault:
    """The fault at the file's `python:`, or without a position if the file has none."""
    if loaded.place("python") is not None:
        return loaded.fault(remark, severity)
    return Fault(None, "", remark.message, remark.hint, severity).veiled()
