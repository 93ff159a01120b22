"""The processes that remain of a task when its own process has ended.

They get a grace before they are killed.

A wrapper script or a pipe may end before the training does that it started, which may still be
saving. So the others get SIGTERM, if they have not had it, and SIGKILL when the grace is over. The
task runner does that itself: no supervisor may be there. In a local run the supervisor does
(`supervise.stop`), by what the launch server tells it (`tasks`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

from tenfold.launch.filters import Filters
from tenfold.launch.signals import group_exists, runs_in_group, signal_group

_LOOK_S = 0.05
_KILLED_S = 2.0
"""Seconds to wait for killed processes.

What hangs in the kernel may never end.
"""


class Remainder:
    """The processes of one life of a task, by the group that its own process leads.

    `group` is the pid of that process. `orphans` gives the others that fell to this process, if all
    of them are the task's.
    """

    def __init__(self, group: int, grace_s: float, orphans: Callable[[], list[int]]) -> None:
        self.group = group
        self._grace_s = grace_s
        self._orphans = orphans
        self._filters = Filters(group)
        self._told: float | None = None
        self._killed: float | None = None
        self._reached: set[int] = set()

    def signal(self, number: int) -> None:
        """Signal the group.

        A signal that is to end all reaches the orphans later.
        """
        if number == signal.SIGKILL:
            self._kill()
        elif number == signal.SIGTERM:
            self._told = self._told or time.monotonic()
            self._filters.end_group()
        else:
            signal_group(self.group, number)

    async def end(self) -> None:
        """Wait until nothing runs any more, or what was killed does not end."""
        while self._is_left():
            now = time.monotonic()
            if self._told is None:
                self.signal(signal.SIGTERM)
            elif self._killed is None and now >= self._told + self._grace_s:
                self._kill()
            elif self._killed is not None and now >= self._killed + _KILLED_S:
                return
            self._filters.look()
            self._reach(signal.SIGTERM if self._killed is None else signal.SIGKILL)
            await asyncio.sleep(_LOOK_S)

    def _is_left(self) -> bool:
        group = group_exists(self.group) and runs_in_group(self.group)
        return group or bool(self._orphans())

    def _kill(self) -> None:
        self._killed, self._reached = time.monotonic(), set()
        signal_group(self.group, signal.SIGKILL)
        self._reach(signal.SIGKILL)

    def _reach(self, number: int) -> None:
        """Signal the orphans that have not received it. The group has."""
        for pid in self._orphans():
            if pid in self._reached:
                continue
            self._reached.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) != self.group:
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)
