"""Local modules that hide an installed module of the same name.

Python then never imports the installed one.

`csv.py` beside a script is what `import csv` gives, in the script and in every library that it
imports. In a process that has imported the libraries before, they have the installed one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

LIKELY = frozenset(
    """
    argparse array ast asyncio base64 bisect bz2 calendar cmath cmd code codeop collections colorsys
    concurrent contextlib contextvars copy copyreg csv ctypes dataclasses datetime decimal difflib
    dis email enum fnmatch fractions functools getopt getpass gettext glob gzip hashlib heapq hmac
    html http importlib inspect ipaddress json keyword linecache locale logging lzma mimetypes mmap
    multiprocessing numbers opcode operator pathlib pdb pickle pickletools pkgutil platform plistlib
    pprint profile pstats pydoc queue quopri random re reprlib secrets selectors shlex shutil signal
    socket socketserver ssl statistics string struct subprocess sysconfig tarfile tempfile textwrap
    threading timeit token tokenize traceback types typing unittest urllib uuid warnings weakref xml
    zipfile zoneinfo
    absl flatbuffers google h5py jax jaxlib keras ml_dtypes mpmath numpy opt_einsum optree packaging
    psutil requests rich scipy six sympy tensorflow torch torchgen triton typing_extensions wrapt
    """.split()  # noqa: SIM905
)
"""Modules that TensorFlow 2.21, PyTorch 2.13 or JAX 0.10 import.

Observed, of the standard library and of packages beside it. A preloaded process knows its own
(`launch.preload`).
"""

_SUFFIXES = (".py", ".pyc", ".so", ".pyd")


def hidden_by(directory: Path, names: Collection[str]) -> dict[str, str]:
    """Of these top-level modules, those that a module in `directory` hides.

    By name, with the file that hides it.

    A directory without `__init__.py` hides no module that is found elsewhere.
    """
    found = {}
    for entry in _entries(directory):
        name = entry.partition(".")[0]
        if name in names and name not in found and _is_module(directory, entry):
            found[name] = entry
    return found


def first_hidden(directories: Iterable[Path], names: Collection[str]) -> tuple[str, Path] | None:
    """The first module that is hidden, and the file that hides it."""
    for directory in directories:
        for name, entry in sorted(hidden_by(directory, names).items()):
            return name, directory / entry
    return None


def _entries(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (OSError, ValueError):
        return []


def _is_module(directory: Path, entry: str) -> bool:
    try:
        if entry.endswith(_SUFFIXES):
            return (directory / entry).is_file()
        return "." not in entry and (directory / entry / "__init__.py").is_file()
    except OSError:
        return False
