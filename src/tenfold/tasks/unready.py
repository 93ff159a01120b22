"""`unready.json`: why a task is not ready yet, for views and the supervisor.

Written by whoever probes: the local cell, and the task runner on other cells. It is there while a
task runs and cannot be used; the words follow the task's name and a colon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable

from tenfold.planning.plan import ReadinessCheck
from tenfold.run.rundir import TaskDirectory
from tenfold.run.unready import UnreadyTask
from tenfold.tasks.listening import listening

FIRST_S = 2.0
"""Seconds that a task may take to start before a reason is written."""
_EVERY_S = 1.0
_LONGEST = 200


class Unready:
    """Reports why one life of a task is not ready.

    Every method but `tell` is cheap.
    """

    def __init__(self, directory: TaskDirectory) -> None:
        self._path = directory.unready
        self._next = time.monotonic() + FIRST_S
        self._said: str | None = None
        self._lines = 0
        self._writing = threading.Lock()
        self.answer: str | None = None
        """The result of the last try, such as `answers 404 at /health`."""
        self.clear()
        self._over = False

    def due(self) -> bool:
        """Whether it is time to check."""
        return time.monotonic() >= self._next

    def heard(self, data: bytes) -> None:
        """Process output that the task wrote."""
        self._lines += data.count(b"\n")

    def tell(self, ready: ReadinessCheck, pid: int, port: int | None) -> None:
        """Find out and record why the task is not ready.

        `pid` is the first process of the task.
        """
        self._next = time.monotonic() + _EVERY_S
        found, sure = self._words(ready, pid, port)
        words = found[:_LONGEST]
        if words != self._said:
            said = UnreadyTask(words=words, sure=sure, time=time.time())
            with self._writing, contextlib.suppress(OSError):
                if not self._over:
                    said.write(self._path)
                    self._said = words

    async def telling(
        self, attempt: Awaitable[bool], ready: ReadinessCheck, pid: int, port: int | None
    ) -> bool:
        """The result of one try. While it lasts, `tell` is called whenever it is due."""
        speaker = asyncio.ensure_future(self._keep_telling(ready, pid, port))
        try:
            return await attempt
        finally:
            speaker.cancel()

    async def _keep_telling(self, ready: ReadinessCheck, pid: int, port: int | None) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            if self.due():
                await asyncio.to_thread(self.tell, ready, pid, port)

    def _words(self, ready: ReadinessCheck, pid: int, port: int | None) -> tuple[str, bool]:
        """The reason, and whether it is more than what every start shows for a while."""
        if ready.kind == "log":
            count = f"{self._lines} line{'' if self._lines == 1 else 's'}"
            return f"no line of its output matches {ready.target!r} ({count} so far)", False
        if ready.kind == "command":
            return f"its readiness command {self.answer or 'has not ended yet'}", False
        if self.answer is not None or port is None:
            return f"it {self.answer or 'has no such port'}", True
        found = listening(pid)
        return found.words(port, ready.port or "main"), found.anywhere

    def clear(self) -> None:
        """Remove the reason: the task is ready or has ended."""
        self._said = None
        with self._writing, contextlib.suppress(OSError):
            self._over = True
            self._path.unlink()


def spoken(file: int) -> str:
    """The last line in the output file of a command, as ` (line)`, or nothing."""
    with contextlib.suppress(OSError):
        size = os.fstat(file).st_size
        text = os.pread(file, 4096, max(0, size - 4096)).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f" ({lines[-1][:_LONGEST]})" if lines else ""
    return ""


def how_it_ended(code: int) -> str:
    """A description of a command's exit code, such as `exits with code 3`.

    The code is negative for a signal.
    """
    if code >= 0:
        return f"exits with code {code}"
    try:
        return f"is killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"is killed by signal {-code}"


def recorder(otherwise: Callable[[], int]) -> int:
    """A file in memory for a command's output. The caller closes it.

    Where there are no such files, the result of `otherwise` is returned.
    """
    with contextlib.suppress(OSError, AttributeError):
        return os.memfd_create("tenfold-ready", os.MFD_CLOEXEC)
    return otherwise()
