"""What shows that a supervisor lives: the run directory, its lock and its plan.

A task can remove them, or put something else in its place. The supervisor then puts it back, so
that commands still find the run, and what became of it is told.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import IO

from tenfold.planning.plan import Plan
from tenfold.run import files
from tenfold.run.planfile import write_plan
from tenfold.run.rundir import SHARED, RunDirectory

EVERY_S = 0.5
_TRIES, _TRY_S = 50, 0.001


class Presence:
    """Keeps one run's directory and lock at their path."""

    def __init__(self, run: RunDirectory, plan: Plan, lock: IO[bytes]) -> None:
        """`lock` is the run's lock, which is held."""
        self._run = run
        self._plan = plan
        self._locks = [lock]
        self._written = files.mark(run.plan)
        self._next = 0.0

    def look(self, *, at_once: bool = False) -> list[str]:
        """Restore what was removed or changed, and return a description of it.

        This happens at most every `EVERY_S` seconds.
        """
        moment = time.monotonic()
        if moment < self._next and not at_once:
            return []
        self._next = moment + EVERY_S
        back = []
        with contextlib.suppress(OSError):  # nobody can write there now: tried again
            if not self._has_directory():
                self._make_directory()
                back.append("its run directory")
            if not files.is_open(self._run.lock, self._locks[-1].fileno()):
                self._make_lock()
                back.append(self._run.lock.name)
            if self._written is None or files.mark(self._run.plan) != self._written:
                write_plan(self._run.plan, self._plan)
                self._written = files.mark(self._run.plan)
                back.append(self._run.plan.name)
        return back

    def _has_directory(self) -> bool:
        return self._run.path.is_dir() and not self._run.path.is_symlink()

    def _make_directory(self) -> None:
        self._run.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.make_directory(self._run.path)
        for name in ("tasks", *SHARED):
            files.make_directory(self._run.path / name)

    def _make_lock(self) -> None:
        files.set_aside(self._run.lock)
        descriptor, _ = files.open_own(self._run.lock, os.O_RDWR)
        lock = os.fdopen(descriptor, "r+b")
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # a view looks at it, for an instant
                if not left:
                    lock.close()
                    raise
                time.sleep(_TRY_S)
        self._locks.append(lock)
        if len(self._locks) > 2:
            self._locks.pop(1).close()
