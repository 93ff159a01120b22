"""Append lines to files that only grow.

Each file has one writer. A line is written whole or not at all, on any disk.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tenfold.run import files

_LITTLE_BYTES = 1 << 16


def open_to_append(path: Path) -> int:
    """Open `path` for appending, with mode 0600 if it is new. Raises OSError.

    What is there ends with a whole line then: a line that a killed writer has cut is ended. What
    is no file of ours there (a link, a pipe) is set aside.
    """
    descriptor, _ = files.open_own(path, os.O_RDWR | os.O_APPEND)
    with contextlib.suppress(OSError):
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            append(descriptor, b"\n")
    return descriptor


def append(descriptor: int, data: bytes) -> bool:
    """Append all of `data`, or nothing if the disk refuses it.

    Returns whether the data was written.

    It is one write(2), so that a reader never sees a part of it for longer than that takes.
    """
    written = 0
    try:
        written = os.write(descriptor, data)
    except OSError:
        return False
    if written == len(data):
        return True
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
    return False


def has_room(place: Path) -> bool:
    """Whether the disk of `place` has at least `_LITTLE_BYTES` and an inode free.

    True if this cannot be determined.
    """
    try:
        found = os.statvfs(place)
    except OSError:
        return True
    free = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    inodes = found.f_files == 0 or found.f_ffree > 0
    return free * found.f_frsize >= _LITTLE_BYTES and inodes


class Reserve:
    """Reserved disk space: `size` bytes on the disk of `directory`.

    Its owner gives it back when the space is needed most.

    Nothing is seen of it, and nothing left when its process ends. Where the disk has not so much,
    there is none.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._held = -1
        path = directory / f".reserve.{os.getpid()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with contextlib.suppress(OSError, AttributeError):  # macOS has no posix_fallocate
            self._held = os.open(path, flags, 0o600)
            path.unlink()
            os.posix_fallocate(self._held, 0, size)

    def give_back(self) -> None:
        """Release the space."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
