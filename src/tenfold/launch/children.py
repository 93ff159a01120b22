"""Child processes of the task runner: start them, and reap all of them.

This includes every orphan that the runner inherits.

In a container the runner is process 1: whatever a task leaves behind becomes its child, and must
not stay as a zombie. So it waits for any child, not for single ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from tenfold.base import procfs
from tenfold.launch import namespace


class Children:
    """Create and use this in a running event loop of the main thread.

    Orphans of its children become its own, on Linux.
    """

    def __init__(self) -> None:
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)
        with contextlib.suppress(OSError):
            namespace.adopt_orphans()

    def spawn(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, streams: tuple[int, int]
    ) -> tuple[int, asyncio.Future[int]]:
        """Start `argv` as the leader of a process group of its own; its pid and its end.

        The future holds the exit code, or minus the signal. Raises OSError if it cannot be
        started.
        """
        with open(os.devnull, "rb") as nothing:
            process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=nothing,
                stdout=streams[0],
                stderr=streams[1],
                start_new_session=True,
            )
        process.returncode = 0  # it is waited for here, not by its object
        end = self._ends[process.pid] = self._loop.create_future()
        return process.pid, end

    def orphans(self) -> list[int]:
        """Pids of processes that ended children left behind, in any session."""
        return [pid for pid in _own_children() if pid not in self._ends]

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                end = self._ends.pop(pid, None)
                if end is not None and not end.done():
                    end.set_result(os.waitstatus_to_exitcode(status))


def _own_children() -> list[int]:
    """Pids of this process's children, on Linux, without zombies to be reaped."""
    return [process.pid for process in procfs.living() if process.ppid == os.getpid()]
