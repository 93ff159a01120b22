"""A task's processes in /proc: their relations, states and caught signals.

Pids are those of the /proc that is read. Linux only: elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass

from tenfold.base import procfs
from tenfold.debug.stacks import ProcessStacks

MOST_PROCESSES = 16
"""Of one task's processes no more than these are looked at."""


@dataclass(frozen=True, slots=True)
class Family:
    """All processes at one moment: their descent, and their sessions."""

    children: Mapping[int, list[int]]
    sessions: Mapping[int, list[int]]

    def of(self, root: int) -> list[int]:
        """`root`, its session and all descendants of either.

        `root` is first, and the others are sorted, oldest first.
        """
        found: dict[int, None] = {}
        ahead = [root, *sorted(self.sessions.get(root, ()))]
        while ahead and len(found) < MOST_PROCESSES:
            pid = ahead.pop(0)
            if pid not in found:
                found[pid] = None
                ahead += sorted(self.children.get(pid, ()))
        return list(found)


def family(proc: str = "/proc") -> Family:
    """Everybody, now."""
    children: dict[int, list[int]] = {}
    sessions: dict[int, list[int]] = {}
    for process in procfs.living(proc):
        children.setdefault(process.ppid, []).append(process.pid)
        sessions.setdefault(process.session, []).append(process.pid)
    return Family(children, sessions)


def look(pid: int, proc: str = "/proc") -> ProcessStacks | None:
    """The kernel's information about one process, or None if it is gone."""
    stat = procfs.read_stat(pid, proc)
    if stat is None or stat.ended:
        return None
    return ProcessStacks(
        pid=pid,
        state=stat.state,
        command=stat.comm.strip() or "?",
        wchan=_wchan(pid, proc),
        cpu_s=round(stat.cpu_s, 2),
        threads=stat.threads,
    )


def state(pid: int, proc: str = "/proc") -> str | None:
    """The state's letter; None if the process is gone."""
    stat = procfs.read_stat(pid, proc)
    return None if stat is None or stat.ended else stat.state


def _wchan(pid: int, proc: str) -> str | None:
    with contextlib.suppress(OSError), open(f"{proc}/{pid}/wchan", encoding="utf-8") as stream:
        told = stream.read().strip()
        return None if told in ("", "0") else told
    return None


def is_python(pid: int, proc: str = "/proc") -> bool:
    """Whether the program is Python's interpreter, by its name."""
    with contextlib.suppress(OSError):
        return "python" in os.path.basename(os.readlink(f"{proc}/{pid}/exe"))  # noqa: PTH119
    return False


@dataclass(frozen=True, slots=True)
class Answering:
    """How a process stands to a signal, and what its threads do.

    Attributes:
        caught: the process has a handler for it.
        pending: it is still to be taken, by the process or one of its threads.
        blocked: threads (their ids) that have it blocked: while they handle it, or always.
        threads: of each thread, its state and how often the kernel has switched from it.
    """

    caught: bool
    pending: bool
    blocked: frozenset[int]
    threads: Mapping[int, tuple[str, str]]

    def moving(self, since: Answering) -> list[int]:
        """Threads that run, or have run since."""
        return [
            thread
            for thread, now in self.threads.items()
            if now[0] == "R" or now != since.threads.get(thread)
        ]


def answering(pid: int, number: int, proc: str = "/proc") -> Answering:
    """How the process `pid` handles the signal `number`.

    Empty if the process is gone.
    """
    bit = 1 << (number - 1)
    own = procfs.read_status(pid, proc) or {}
    pending = _holds(own, "ShdPnd", bit)
    blocked, threads = set(), {}
    for thread in procfs.thread_ids(pid, proc):
        found = procfs.read_status(pid, proc, thread) or {}
        pending |= _holds(found, "SigPnd", bit)
        if _holds(found, "SigBlk", bit):
            blocked.add(thread)
        switches = (found.get(f"{kind}voluntary_ctxt_switches", "") for kind in ("", "non"))
        threads[thread] = (found.get("State", "?")[0], "+".join(switches))
    return Answering(_holds(own, "SigCgt", bit), pending, frozenset(blocked), threads)


def _holds(fields: Mapping[str, str], mask: str, bit: int) -> bool:
    """Whether a mask of signals has this one."""
    with contextlib.suppress(ValueError):
        return bool(int(fields.get(mask, "0"), 16) & bit)
    return False


def signal_thread(pid: int, thread: int, number: int) -> None:
    """Signal one thread of a process. Raises OSError if it is gone or not ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.tgkill(pid, thread, number) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def has_open(pid: int, path: os.stat_result, proc: str = "/proc") -> bool:
    """Whether the process still has this file open, by any descriptor.

    A program that closed all its descriptors may have opened files of its own under their numbers.
    """
    return next(procfs.descriptors_of(pid, (path.st_dev, path.st_ino), proc), None) is not None
