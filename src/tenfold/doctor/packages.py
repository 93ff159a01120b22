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
from tenfold.cluster import python_probe
from tenfold.cluster.python_choice import is_own
from tenfold.cluster.python_probe import install_command
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
"""The packages that tenfold supports, by module."""


def package(name: str, python: str | None = None) -> Finding:
    """Whether and how the module `name` is installed for the interpreter at `python`.

    It is one of `PACKAGES`. `python` is tenfold's own interpreter if None.
    """
    known = PACKAGES[name]
    elsewhere = None if python is None or is_own(python) else python
    if elsewhere is None:
        version, place = installed(known.distributions), _place(name)
        command, whose = pip_install(known.requirement), "in the environment of tenfold"
    else:
        version, place = _asked(elsewhere, known)
        command, whose = install_command(elsewhere, name), f"for {elsewhere}"
    if place is None and version is None:
        return Finding("framework", name, "missing", None, f"not installed {whose}", command)
    if place is None:
        message = "installed, but its files are missing"
        hint = command.replace("install", "install --force-reinstall", 1)
        return Finding("framework", name, "broken", version, message, hint)
    build = known.build(place, version)
    words = ["installed", *([build] if build else []), *([whose] if elsewhere else [])]
    return Finding("framework", name, "ok", version, ", ".join(words), None)


def _asked(python: str, known: Package) -> tuple[str | None, Path | None]:
    """The version of a package, and the directory of its module."""
    found = python_probe.installed(python, (known.module,), known.distributions)
    origin = found.modules.get(known.module)
    version = next((each for each in found.versions.values() if each is not None), None)
    return version, None if origin is None else Path(origin).parent


def _place(module: str) -> Path | None:
    """The directory of a module, or None. A bare directory is not a module."""
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        return Path(spec.origin).parent if spec is not None and spec.origin else None
    return None
