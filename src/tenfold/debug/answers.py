"""Inside a task: answer a signal by writing the stacks of all threads to a file.

Python's own `faulthandler` does it, in C and without the interpreter's lock, so that a task that
holds it for ever answers, too. It needs no permission, and costs nothing until the signal comes.
Nothing here may fail a task: where the file cannot be opened (a full disk, a directory that only
reads), the task does not answer, and that is all.

The signal is a real-time one, which programs leave alone, unlike SIGUSR1. A process that does not
catch it would be killed by it: who asks, looks first (`processes.answers`).
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Mapping

from tenfold.base.naming import label_of

if sys.platform == "linux":
    SIGNAL: int | None = signal.SIGRTMIN + 11
else:
    SIGNAL = None  # no real-time signals

DIRECTORY, FILE = "stacks", "answers.txt"
"""Where a task's processes write: `tasks/worker-3/stacks/answers.txt`."""

_state = {"answers": False}


def answer(environment: Mapping[str, str] = os.environ) -> None:
    """Answer signals from now on, in a process of a task.

    A second call does nothing.

    A process that is forked from this one answers as well, into the same file; one that is
    executed does not.
    """
    home, task = environment.get("TENFOLD_RUN_DIRECTORY"), environment.get("TENFOLD_TASK")
    if _state["answers"] or SIGNAL is None or not home or not task:
        return
    _state["answers"] = True
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        faulthandler.register(SIGNAL, _open(home, task), all_threads=True, chain=False)


def _open(home: str, task: str) -> int:
    """The file to append to, for the life of the process."""
    directory = os.path.join(home, "tasks", label_of(task), DIRECTORY)  # noqa: PTH118
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)  # noqa: PTH102 - pathlib is slow to import
    path = os.path.join(directory, FILE)  # noqa: PTH118
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, 0o600)
