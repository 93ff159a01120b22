"""The secret of a page: 192 random bits in the task's `token` file.

The file's mode is 0600.

It stays the same when the task is started again, so that an open browser tab goes on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from tenfold.base.naming import label_of
from tenfold.run import files
from tenfold.run.rundir import RunDirectory

_SHORTEST = 32


def own_token() -> str:
    """The token of the task this process is, made if it has none."""
    label = label_of(os.environ["TENFOLD_TASK"])
    path = RunDirectory(Path(os.environ["TENFOLD_RUN_DIRECTORY"])).task(label).token
    with contextlib.suppress(OSError, ValueError):
        known = files.read_whole(path, 1000).decode("ascii").strip()
        if len(known) >= _SHORTEST:
            return known
    token = secrets.token_urlsafe(24)
    files.write_whole(path, token.encode())
    return token
