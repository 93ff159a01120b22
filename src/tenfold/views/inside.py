"""Opening what is in a run directory, and nothing that a link in it points to.

A task can put a symbolic link where its log should be. Views that show whole files open them here.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tenfold import files
from tenfold.files import open_regular
from tenfold.rundir import RunDirectory


def directories(path: Path) -> set[str]:
    """Names of the directories in `path`; hidden ones and links are left out."""
    return set(files.directories(path))


def task_labels(run: RunDirectory) -> set[str]:
    """The labels of the tasks that have a directory of their own, inside the run's."""
    return directories(run.path / "tasks") if "tasks" in directories(run.path) else set()


def open_file(path: Path) -> int | None:
    """A descriptor of the regular file at `path`, to read; None for a link or anything else.

    Directories above it are the caller's to check, by `directories`.
    """
    with contextlib.suppress(OSError, ValueError), open_regular(path) as stream:
        return os.dup(stream.fileno())
    return None


def read_piece(path: Path, start: int, size: int) -> bytes:
    """At most `size` bytes from `start` on; nothing where `open_file` opens nothing."""
    descriptor = open_file(path)
    if descriptor is None:
        return b""
    try:
        return os.pread(descriptor, size, start)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def size_of(path: Path) -> int:
    """Bytes of a regular file; 0 for anything else."""
    return files.size_of(path)
