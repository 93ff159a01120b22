"""A library before all others in a task: `bind` to every interface becomes one to loopback.

What `binds` does where that is refused: interpose.c, compiled with this machine's `cc` when it is
first needed and kept in the user's cache. Owns the compiling and the cache. Linux only; `refusal`
says why not.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

_SOURCE = Path(__file__).with_name("interpose.c")
_COMPILE_S = 60.0
_TRIAL = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[0])"


def refusal() -> str | None:
    """Why no task can be given the library here; None where it can. Compiles it if need be."""
    if sys.platform != "linux":
        return f"not written for {sys.platform}"
    try:
        library()
    except OSError as error:
        return str(error)
    except subprocess.SubprocessError as error:
        return f"cc does not compile it: {error}"
    return None


def environment(before: dict[str, str]) -> dict[str, str]:
    """Variables that a task needs beside `before` to have the library."""
    others = before.get("LD_PRELOAD", "")
    return {"LD_PRELOAD": f"{library()} {others}".strip()}


def library() -> Path:
    """The compiled library, that was seen to work. Raises OSError or SubprocessError."""
    text = _SOURCE.read_bytes()
    name = hashlib.sha256(text + os.uname().machine.encode()).hexdigest()[:32]
    directory = _private_directory()
    path = directory / f"{name}.so"
    if not path.exists():
        _compile(path)
    return path


def _private_directory() -> Path:
    """Where nobody else can put a library of his own. Raises OSError."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    if not home.is_absolute():
        raise OSError("this user has no home directory; name a directory in XDG_CACHE_HOME")
    directory = home / "tenfold" / "interpose"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or directory.is_symlink():
        raise OSError(f"{directory} is open to others")
    if set(str(directory)) & set(" :"):  # LD_PRELOAD's separators (ld.so(8))
        raise OSError(f"LD_PRELOAD cannot name {directory}")
    return directory


def _compile(path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise OSError("there is no C compiler")
    descriptor, made = tempfile.mkstemp(dir=path.parent)
    os.close(descriptor)
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", made, str(_SOURCE), "-ldl"]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=_COMPILE_S)
        _try(made)
        Path(made).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(made).unlink()


def _try(library: str) -> None:
    """Raises OSError if a program that has the library binds every interface all the same."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _TRIAL],
        env=os.environ | {"LD_PRELOAD": library},
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_S,
    )
    if done.stdout.strip() != socket.inet_ntoa(b"\x7f\0\0\1"):
        raise OSError(f"a library of ours is not loaded: {done.stderr.strip()}")
