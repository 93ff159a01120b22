"""Find scripts that import both TensorFlow and PyTorch, for `check`.

Owns reading the scripts' imports. Why the combination is dangerous, and what tasks of a run do
about it, is in `tenfold.launch.together`.
"""

from __future__ import annotations

import ast
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tenfold.cluster import check
from tenfold.cluster.file import Loaded
from tenfold.cluster.file.places import Remark
from tenfold.cluster.programs import python_command, search_path
from tenfold.cluster.python_choice import PythonChoice
from tenfold.cluster.spec import Job
from tenfold.doctor.together import ADVICE
from tenfold.errors import Fault
from tenfold.launch import together

_MOST_FILES = 100
_IMPORTS_TENSORFLOW = ("tensorflow", "keras", "tensorboard", "torch.utils.tensorboard")
"""Modules that import TensorFlow where it is installed."""


def warnings_here(loaded: Loaded, python: PythonChoice | None = None) -> list[Fault]:
    """A warning for each job whose script imports both.

    Both have to be installed for it. `python` is the interpreter of the plan.
    """
    found: list[Remark] = []
    for name, job in loaded.cluster.jobs.items():
        found += _warnings(name, job, loaded, python)
    return [loaded.places.fault(remark, "warning") for remark in found]


def _warnings(name: str, job: Job, loaded: Loaded, python: PythonChoice | None) -> Iterator[Remark]:
    command = check.words(job) or ()
    if not command or "${" in (job.workdir or ""):
        return
    environment = {**os.environ, **loaded.cluster.env, **job.env}
    environment["PATH"] = search_path(environment, python)
    workdir = loaded.directory / (job.workdir or ".")
    for script in _scripts(command, workdir):
        imported = imports_of(script)
        if not (_any(imported, ("torch",)) and _any(imported, _IMPORTS_TENSORFLOW)):
            continue
        found = together.found_by(environment, command, str(workdir))
        if found is None:
            return
        message = (
            f"{script.name} imports PyTorch and TensorFlow ({together.versions(found)}): a process "
            "that loads triton's library after TensorFlow's ends by SIGSEGV"
        )
        yield Remark(("jobs", name, "run"), message, _isolated(command) or ADVICE)
        return


def _scripts(command: Sequence[str], workdir: Path) -> Iterator[Path]:
    """Python files that a command names, also in the text of a shell.

    For example `train.py` or `-m train`.
    """
    words = [piece.strip("\"';&|()") for word in command for piece in word.split()]
    for before, word in zip(["", *words], words, strict=False):
        name = word.replace(".", "/") + ".py" if before == "-m" else word
        if name.endswith(".py") and "${" not in name:
            with contextlib.suppress(OSError, ValueError):
                if (path := workdir / name).is_file():
                    yield path


def _isolated(command: Sequence[str]) -> str | None:
    """What to do instead if the interpreter ignores PYTHONPATH."""
    python = python_command(command)
    options = python.options if python is not None else ()
    if not any(option[:2] not in ("-X", "-W") and set(option) & set("EI") for option in options):
        return None
    return "write `import triton` first: python -E and -I disable the workaround of tenfold"


def _any(imported: set[str], modules: tuple[str, ...]) -> bool:
    return any(one == m or one.startswith(f"{m}.") for one in imported for m in modules)


def imports_of(script: Path) -> set[str]:
    """Modules that a script or its local modules import, by full name."""
    found: set[str] = set()
    left, seen = [script], {script}
    while left and len(seen) < _MOST_FILES:
        names = set(_imports(left.pop()))
        found |= names
        for name in names:
            path = script.parent.joinpath(*name.split("."))
            for local in (path.with_suffix(".py"), path / "__init__.py"):
                if local not in seen and local.is_file():
                    seen.add(local)
                    left.append(local)
    return found


def _imports(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
