"""Processes of a run that outlive what should have ended them, found by their environment.

In a namespace there are none: the kernel ends all with the launch server. Without one, a task that
a killed launch server has started gets SIGKILL from the kernel (`namespace.die_with_parent`), but
what the task has started itself does not: a fork clears that. The launch server ends such orphans
when it ends in order; where it was killed, this does. Who has given up TENFOLD_RUN_DIRECTORY is
not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tenfold.rundir import RunDirectory

_ROUNDS = 50
_ROUND_S = 0.02


def survivors(run: RunDirectory) -> list[int]:
    """Pids of this user's processes that belong to `run`; this process and those above it not."""
    wanted = os.fsencode(f"TENFOLD_RUN_DIRECTORY={run.path}")
    above = _ancestors()
    return [
        pid
        for pid in map(int, filter(str.isdigit, os.listdir("/proc")))
        if pid not in above and wanted in _environment(pid) and lives(pid)
    ]


def end_survivors(run: RunDirectory) -> list[int]:
    """Kill what is left of `run` until nothing is, or a second has gone by; gives who it was.

    Does nothing where there is no /proc. `run` must not be supervised by anybody else.
    """
    found: set[int] = set()
    for _ in range(_ROUNDS):
        try:
            left = survivors(run)
        except OSError:
            return []
        if not left:
            break
        found.update(left)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_S)
    return sorted(found)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def lives(pid: int) -> bool:
    """Whether a process has not ended; a zombie has."""
    return (_stat(pid) or ["X"])[0] not in "ZX"


def _ancestors() -> set[int]:
    found: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        stat = _stat(pid)
        pid = int(stat[1]) if stat else 0
    return found


def _stat(pid: int) -> list[str] | None:
    """What /proc says of a process, from its state on; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
