"""What killed writers and failing disks leave of files that are renamed into place."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path

_LEFTOVER_S = 60.0
"""Writing takes milliseconds; what is younger may be another writer's at work."""


def sweep(path: Path) -> None:
    """Remove what writers of `path` left beside it that were killed as they wrote."""
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
                beside = path.with_name(name)
                with contextlib.suppress(OSError):
                    if time.time() - beside.lstat().st_mtime > _LEFTOVER_S:
                        beside.unlink()


def set_aside(path: Path) -> Path | None:
    """Rename a damaged file to `NAME.damaged-N`, never over another; None if it cannot be.

    For a writer that goes on where another one broke off: nothing is lost by writing anew, and
    people can look at what was there.
    """
    for number in itertools.count(1):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        try:
            os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        except OSError:
            return None
        try:
            return path.replace(aside)
        except OSError:
            aside.unlink()
            return None
    return None
