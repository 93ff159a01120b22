"""Temporary files left by killed writers and failing disks.

These are files that would have been renamed to their final name.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from tenfold.run import files

_LEFTOVER_S = 60.0
"""Younger files may belong to a writer at work. A write takes milliseconds."""


def sweep(path: Path) -> None:
    """Remove temporary files of killed writers of `path`."""
    for name in files.names(path.parent):
        if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
            beside = path.with_name(name)
            with contextlib.suppress(OSError):
                if time.time() - files.look(beside, links=True).st_mtime > _LEFTOVER_S:
                    files.remove(beside)
