"""Whether a file system can hold a run: it needs locks of files, and sockets.

Some network file systems have no locks, FAT and some FUSE file systems have no sockets. It is tried
before the supervisor starts, in the run directory itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from tenfold.errors import InputError

_LONGEST_PATH_BYTES = 100


def require_umask() -> None:
    """Raise InputError if the umask denies this user access to its own files."""
    umask = os.umask(0o077)
    os.umask(umask)
    if umask & 0o700 and os.geteuid() != 0:
        raise InputError(
            f"the umask {umask:04o} removes your permissions from files that you create",
            hint="set umask 077, or the usual umask 022",
        )


def require(directory: Path) -> None:
    """Raise InputError if `directory` does not support file locks or sockets."""
    probe = directory / f".probe.{os.getpid()}"
    try:
        _try("file locks (flock)", directory, lambda: _lock(probe))
        _try("Unix sockets", directory, lambda: _bind(directory, probe.name))
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _try(what: str, directory: Path, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except OSError as error:
        raise InputError(
            f"the file system of {directory} has no {what}: {error.strerror or error}",
            hint="keep runs on a local disk: --runs DIR or TENFOLD_RUNS",
            cause=error,
        ) from error


def _lock(probe: Path) -> None:
    descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)
    probe.unlink()


def _bind(directory: Path, name: str) -> None:
    """Bind a socket, by a short path if needed.

    A socket's address has 108 bytes (unix(7)).
    """
    path = directory / name
    if len(os.fsencode(path)) <= _LONGEST_PATH_BYTES or sys.platform != "linux":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
