"""What killed writers and failing disks leave of files that are renamed into place."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tenfold.run import files

_LEFTOVER_S = 60.0
"""Writing takes milliseconds; what is younger may be another writer's at work."""


def sweep(path: Path) -> None:
    """Remove what writers of `path` left beside it that were killed as they wrote."""
    for name in files.names(path.parent):
        if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
            beside = path.with_name(name)
            with contextlib.suppress(OSError):
                if time.time() - files.look(beside, links=True).st_mtime > _LEFTOVER_S:
                    files.remove(beside)
