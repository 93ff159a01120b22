"""The package of a framework or a page, as `tenfold doctor` asks for it.

Nothing here imports the package: what it was built for is read from its metadata and its files.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def _unknown_build(place: Path, version: str | None) -> str | None:
    """The build of a package if nothing is known of it."""
    del place, version
    return None


@dataclass(frozen=True, slots=True)
class Package:
    """A module, the distributions that may provide it, and what to install.

    Attributes:
        module: the module that tasks import.
        distributions: names of the distributions that bring it, the usual one first.
        requirement: what pip installs to have it beside tenfold.
        build: what it was built for, in words, from the directory of the module and its version.
    """

    module: str
    distributions: tuple[str, ...]
    requirement: str
    build: Callable[[Path, str | None], str | None] = _unknown_build


@dataclass(frozen=True, slots=True)
class GpuQuestion:
    """How to ask a framework which GPUs it sees, and what to install if none.

    Attributes:
        code: Python statements that import the framework as `f` and set `n` to the number of GPUs.
        requirement: what pip installs to have a build for CUDA.
        index: where pip finds it, if not on PyPI.
        replaces: a distribution without GPUs that has to be uninstalled first.
    """

    code: str
    requirement: str
    index: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """Bytes of memory of a framework before a task does anything, on Linux.

    `first` is that of the first process that imports it, `more` that of each further one, which
    shares the files with it; `forked` that of each task forked from a process that imported it.
    """

    first: int
    more: int
    forked: int


def installed(distributions: tuple[str, ...], site: Path | None = None) -> str | None:
    """The installed version of the first of these distributions that is present.

    It has to be installed beside tenfold, or in the package directory `site`.
    """
    import importlib.metadata  # late: it brings email, a tenth of what a supervisor imports

    path = sys.path if site is None else [str(site)]
    for name in distributions:
        for found in importlib.metadata.distributions(name=name, path=path):
            version: str | None = found.version
            return version
    return None


def text_of(path: Path) -> str:
    """The text of a file of a package. Empty if it cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
