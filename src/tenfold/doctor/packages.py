"""Frameworks and pages as they are installed beside tenfold, without importing any of them.

Owns: which package brings which module, its version, and whether it was built for GPUs, told from
the metadata and from files that the package itself writes when it is built. Leaves to others:
whether it sees a GPU (`gpus`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tenfold.cells.probing.findings import Finding
from tenfold.cells.probing.hints import pip_install


@dataclass(frozen=True, slots=True)
class Package:
    """A module, the distributions that may bring it, and what to install to have it."""

    module: str
    distributions: tuple[str, ...]
    requirement: str
    build: Callable[[Path, str | None], str | None] = lambda place, version: None


def _tensorflow_build(place: Path, version: str | None) -> str | None:
    del version
    said = _text(place / "python" / "platform" / "build_info.py")
    if re.search(r"'is_rocm_build', True", said):
        return "built for AMD GPUs"
    if re.search(r"'is_cuda_build', True", said):
        cuda = re.search(r"'cuda_version', '([\d.]+)'", said)
        return f"built for CUDA {cuda[1]}" if cuda else "built for CUDA"
    return "built for the CPU alone" if "'is_cuda_build', False" in said else None


def _torch_build(place: Path, version: str | None) -> str | None:
    said = _text(place / "version.py")
    for name, words in (("cuda", "CUDA"), ("hip", "AMD GPUs, ROCm")):
        if found := re.search(rf"^{name}\b[^=\n]*= '([\w.-]+)'", said, re.M):
            return f"built for {words} {found[1]}"
    alone = (version or "").endswith("+cpu") or re.search(r"^cuda\b[^=\n]*= None", said, re.M)
    return "built for the CPU alone" if alone else None


def _jax_build(place: Path, version: str | None) -> str | None:
    del place, version
    for cuda in ("13", "12"):
        if _version((f"jax-cuda{cuda}-plugin",)):
            return f"with its plug-in for CUDA {cuda}"
    return "with its plug-in for AMD GPUs" if _version(_ROCM) else "for the CPU alone"


_ROCM = ("jax-rocm7-plugin", "jax-rocm60-plugin")

PACKAGES = {
    package.module: package
    for package in (
        Package(
            "tensorflow",
            ("tensorflow", "tensorflow-cpu", "tf-nightly", "tf-nightly-cpu", "tensorflow-rocm",
             "tensorflow-macos", "tensorflow-aarch64", "tensorflow-cpu-aws"),
            "tenfold[tensorflow]",
            _tensorflow_build,
        ),
        Package("torch", ("torch",), "torch", _torch_build),
        Package("jax", ("jax",), "jax", _jax_build),
        Package("tensorboard", ("tensorboard", "tb-nightly"), "tenfold[tensorboard]"),
        Package("jupyterlab", ("jupyterlab",), "tenfold[jupyter]"),
    )
}  # fmt: skip
"""What tenfold works with, by module."""


def package(name: str) -> Finding:
    """Whether the module `name`, one of `PACKAGES`, is installed beside tenfold, and how."""
    known = PACKAGES[name]
    version, place = _version(known.distributions), _place(name)
    if place is None and version is None:
        return Finding("framework", name, "missing", None, "not installed beside tenfold",
                       pip_install(known.requirement))  # fmt: skip
    if place is None:
        message = "installed, but its files are not there"
        hint = pip_install(known.requirement).replace("install", "install --force-reinstall", 1)
        return Finding("framework", name, "broken", version, message, hint)
    build = known.build(place, version)
    message = f"installed, {build}" if build else "installed"
    return Finding("framework", name, "ok", version, message, None)


def _place(module: str) -> Path | None:
    """The directory of a module; None if there is none. A bare directory is no module."""
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
        return Path(spec.origin).parent if spec is not None and spec.origin else None
    return None


def _version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
