"""Find the processes that hold a lock file, and signal exactly those.

The kernel says which processes these are.

A pid in a file can be anybody's: the file may be damaged or forged, and numbers come again. Here a
process is signalled only while the kernel says that it holds the lock, through a pidfd, which never
means another process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tenfold.base import procfs
from tenfold.run import files


def is_held(path: Path) -> bool:
    """Whether a process has locked the file at `path`.

    False if there is no regular file.
    """
    try:
        with files.open_regular(path) as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, ValueError):
        return False
    return False


def signal_holders(path: Path, number: int = signal.SIGKILL) -> list[int]:
    """Signal the processes that have locked the file at `path`. Returns their pids.

    None where the kernel does not say who that is (not on Linux, or a process of another
    container's). Never to this process or the machine's first.
    """
    lock = _identity(path)
    if lock is None:
        return []
    return [pid for pid in _processes() if _signal_if_holder(pid, lock, number)]


def holders(path: Path) -> list[int]:
    """Pids of the processes that have locked the file at `path`.

    Only those that the kernel reports.

    Never this process or the machine's first. A pid may be another process's a moment later.
    """
    found: list[int] = []
    if (lock := _identity(path)) is not None:
        for pid in _processes():
            if _holds(pid, lock):
                found.append(pid)
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the regular file at `path`."""
    try:
        with files.open_regular(path) as stream:
            found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _processes() -> Iterator[int]:
    for pid in procfs.pids():
        if pid not in (1, os.getpid()):
            yield pid


def _signal_if_holder(pid: int, lock: tuple[int, int], number: int) -> bool:
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:  # what holds from here on is the process that the pidfd means, or nobody
            if _holds(pid, lock):
                signal.pidfd_send_signal(process, number)
                return True
        finally:
            os.close(process)
    return False


def _holds(pid: int, lock: tuple[int, int]) -> bool:
    """Whether the process has exactly this file open and locked exclusively."""
    return any(_is_locked(pid, number) for number in procfs.descriptors_of(pid, lock))


def _is_locked(pid: int, descriptor: int) -> bool:
    """Whether a line of fdinfo shows the lock, one line for each lock.

    proc(5): `lock: 1: FLOCK  ADVISORY  WRITE PID …`.
    """
    with (
        contextlib.suppress(OSError),
        open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii", errors="replace") as stream,
    ):
        return any(
            line.startswith("lock:") and "FLOCK" in line and "WRITE" in line for line in stream
        )
    return False
