"""Installed frameworks and pages, found without importing any of them.

Owns: which package brings which module, its version, and whether it was built for GPUs, told from
the metadata and from files that the package itself writes when it is built. Leaves to others:
whether it sees a GPU (`gpus`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
from pathlib import Path

from tenfold.cells.probing.findings import Finding
from tenfold.cells.probing.hints import pip_install
from tenfold.frameworks import FRAMEWORKS, framework
from tenfold.frameworks.packages import Package, installed

_PAGES = (
    Package("tensorboard", ("tensorboard", "tb-nightly"), "tenfold[tensorboard]"),
    Package("jupyterlab", ("jupyterlab",), "tenfold[jupyter]"),
)

PACKAGES = {
    package.module: package
    for package in (*(framework(name).package for name in FRAMEWORKS), *_PAGES)
    if package is not None
}
"""What tenfold works with, by module."""


def package(name: str) -> Finding:
    """Whether and how the module `name` is installed beside tenfold.

    It is one of `PACKAGES`.
    """
    known = PACKAGES[name]
    version, place = installed(known.distributions), _place(name)
    if place is None and version is None:
        words = "not installed in the environment of tenfold"
        return Finding("framework", name, "missing", None, words, pip_install(known.requirement))
    if place is None:
        message = "installed, but its files are missing"
        hint = pip_install(known.requirement).replace("install", "install --force-reinstall", 1)
        return Finding("framework", name, "broken", version, message, hint)
    build = known.build(place, version)
    message = f"installed, {build}" if build else "installed"
    return Finding("framework", name, "ok", version, message, None)


def _place(module: str) -> Path | None:
    """The directory of a module, or None. A bare directory is not a module."""
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        return Path(spec.origin).parent if spec is not None and spec.origin else None
    return None
