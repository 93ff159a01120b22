"""A small file system that can be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A file system of some megabytes, and what fills it up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all the room but `leave` bytes."""
        left = os.statvfs(self.path)
        room = left.f_bavail * left.f_frsize - leave
        with open(self._ballast, "ab") as stream, contextlib.suppress(OSError):
            os.posix_fallocate(stream.fileno(), stream.tell(), room)

    def empty(self) -> None:
        """Give it back."""
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A tmpfs of 4 MiB, unmounted at the end."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", None) or error
        pytest.skip(f"NOT TESTED HERE: a full disk needs a mount, which is refused: {why}")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", str(place)], check=True)
