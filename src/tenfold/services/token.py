"""The secret of a page: 192 random bits in `token` of the task's directory, mode 0600.

It stays the same when the task is started again, so that an open browser tab goes on.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tenfold.rundir import RunDirectory


def own_token() -> str:
    """The token of the task this process is, made if it has none."""
    label = os.environ["TENFOLD_TASK"].replace("/", "-")
    path = RunDirectory(Path(os.environ["TENFOLD_RUN_DIRECTORY"])).task(label).token
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    token = secrets.token_urlsafe(24)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(token)
    return token
