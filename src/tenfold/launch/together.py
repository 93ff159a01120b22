"""The order in which TensorFlow and PyTorch load libraries in one process.

TensorFlow loads its libraries with RTLD_GLOBAL, and they export the symbols of LLVM. triton, which
PyPI's torch for Linux brings and the first optimizer imports, is linked with another version of
LLVM. If triton's library is loaded after TensorFlow's, the linker binds its calls to TensorFlow's
LLVM, and the process ends by SIGSEGV in `libtriton.so` (seen with TensorFlow 2.21 and triton 3.7.1,
with gdb). In the other order each library uses its own LLVM, since triton's is loaded RTLD_LOCAL.

An ordinary script meets the first order: `torch.utils.tensorboard` imports TensorFlow where it is
installed. So each Python process of a task loads `libtriton.so` before TensorFlow. The hook is
`first/sitecustomize.py`, and PYTHONPATH brings it, because the environment alone reaches programs
behind shells and launchers. Only tasks that find both packages get it.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

HOOK = str(Path(__file__).with_name("first"))
"""The directory that goes into PYTHONPATH."""

_PACKAGES = ("lib*/python3*/site-packages", "lib*/python3*/dist-packages", "local/lib/python3*/*")
"""Patterns of package directories, below the directory with `bin`."""

_METADATA = re.compile(
    r"(triton|tensorflow|tensorflow_cpu|tensorflow_rocm|tensorflow_cpu_aws|tf_nightly|tf_nightly_cpu)"
    r"-([^-]+)\.dist-info"
)


def with_order(
    environment: Mapping[str, str], command: Sequence[str], workdir: str
) -> dict[str, str]:
    """`environment` with the hook, if `command` may find both packages.

    The programs of `command` are meant.

    Isolated interpreters (`python -I`, `python -E`) ignore PYTHONPATH and have no hook.
    """
    made = dict(environment)
    before = made.get("PYTHONPATH", "")
    if found_by(made, command, workdir) is not None:
        made["PYTHONPATH"] = f"{HOOK}{os.pathsep}{before}" if before else HOOK
    return made


def found_by(
    environment: Mapping[str, str], command: Sequence[str], workdir: str
) -> tuple[str, ...] | None:
    """Package directories that hold TensorFlow and triton for `command`.

    They are those of the programs of `command`.

    None if one of the two is not installed there.
    """
    words = (command[0], "python", "python3") if command else ("python", "python3")
    seen = tuple(environment.get(name) for name in ("PATH", "PYTHONPATH", "HOME"))
    return _found_by(tuple(dict.fromkeys(words)), workdir, *seen, int(time.monotonic()))


@functools.lru_cache(maxsize=64)
def _found_by(
    programs: tuple[str, ...],
    workdir: str,
    path: str | None,
    python_path: str | None,
    home: str | None,
    second: int,
) -> tuple[str, ...] | None:
    """The same as `found_by`, cached.

    Many tasks that start in one second look once. A later one looks again.
    """
    del second
    search = os.defpath if path is None else path
    found = _directories(programs, workdir, search, python_path or "", home or "")
    places = tuple(dict.fromkeys(found))
    return places if _holds("triton", places) and _holds("tensorflow", places) else None


def versions(directories: Iterable[str]) -> str:
    """`TensorFlow 2.21.0 and triton 3.7.1`, as far as the metadata contains it."""
    found = {"TensorFlow": "", "triton": ""}
    for place in directories:
        for name in os.listdir(place) if os.path.isdir(place) else ():  # noqa: PTH112
            if match := _METADATA.fullmatch(name):
                package = "triton" if match[1] == "triton" else "TensorFlow"
                found[package] = found[package] or f" {match[2]}"
    return " and ".join(f"{name}{version}" for name, version in found.items())


def _holds(package: str, directories: Iterable[str]) -> bool:
    return any(os.path.isdir(os.path.join(place, package)) for place in directories)  # noqa: PTH112, PTH118


def _directories(
    programs: Iterable[str], workdir: str, path: str, python_path: str, home: str
) -> Iterator[str]:
    """Directories in which these programs look for packages, if they are Python."""
    for program in programs:
        found = str(Path(workdir, program)) if "/" in program else shutil.which(program, path=path)
        if found:
            yield from packages_of(found)
    yield from (entry for entry in python_path.split(os.pathsep) if entry)
    if home:
        yield from glob.glob(os.path.join(glob.escape(home), ".local", _PACKAGES[0]))  # noqa: PTH118, PTH207


@functools.cache
def packages_of(program: str) -> tuple[str, ...]:
    """The package directories of the installation or venv of `program`."""
    prefixes = {os.path.dirname(os.path.dirname(p)) for p in (program, os.path.realpath(program))}  # noqa: PTH120
    patterns = (os.path.join(glob.escape(p), pattern) for p in prefixes for pattern in _PACKAGES)  # noqa: PTH118
    found = sorted(place for pattern in patterns for place in glob.glob(pattern))  # noqa: PTH207
    return (*found, *(more for place in found for more in _added(place)))


def _added(place: str) -> Iterator[str]:
    """Directories that `.pth` files add to Python's path (site).

    The files are those of a package directory.
    """
    for file in Path(place).glob("*.pth"):
        with contextlib.suppress(OSError):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            names = (line.rstrip() for line in lines if line.strip() and line[0] != "#")
            yield from (str(Path(place, name)) for name in names if not name.startswith("import"))
