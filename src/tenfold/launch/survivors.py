"""Find processes of a run that have outlived it, by their environment.

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

from tenfold.base import procfs
from tenfold.run.rundir import RunDirectory

_ROUNDS = 50
_ROUND_S = 0.02


def survivors(run: RunDirectory) -> list[int]:
    """Pids of this user's processes that belong to `run`.

    This process and its ancestors are left out.
    """
    wanted = os.fsencode(run.path)
    own = {os.getpid(), *procfs.ancestors(os.getpid())}
    return [pid for pid in procfs.pids() if pid not in own and _is_of(pid, wanted)]


def _is_of(pid: int, run: bytes) -> bool:
    environment = procfs.read_environment(pid, holding=run) or {}
    return environment.get(b"TENFOLD_RUN_DIRECTORY") == run and procfs.is_alive(pid)


def end_survivors(run: RunDirectory) -> list[int]:
    """Kill the remaining processes of `run`, and return their pids.

    This ends when none is left, or after a second.

    Does nothing where there is no /proc. `run` must not be supervised by anybody else.
    """
    found: set[int] = set()
    for _ in range(_ROUNDS):
        left = survivors(run)
        if not left:
            break
        found.update(left)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_ROUND_S)
    return sorted(found)
