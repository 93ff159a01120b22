"""Signals to a task: to its whole process group, and so that it hears them."""

from __future__ import annotations

import contextlib
import os
import signal


def signal_group(pid: int, number: int) -> None:
    """Signal the process group that `pid` leads; one that is gone is no error.

    A process that is stopped is told to go on, too, when it is to end: it would not hear of it
    before (signal(7)).
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
        if number == signal.SIGTERM:
            os.killpg(pid, signal.SIGCONT)
