"""A task's own memory limit, enforced by a control group.

Also whether the kernel killed the task for lack of memory.

Owns groups made for tasks of the local cell: made before the task, entered by it before its command
is executed, removed after its end. Whose supervisor was killed is swept by whoever comes next: a
group's name tells whose it was. Leaves to others: reading the groups one is in (`cgroups`).

Facts (cgroup-v1/memory.rst, cgroup-v2.rst; seen on Linux 6.18): with version 1 a group may be made
below one's own; with version 2 only where no process is, so beside one's own, and only if that
subtree is one's own, too. Of a group over its limit version 2 kills all (`memory.oom.group`), and
version 1 its largest process. Permission to enter is that of whoever opened `cgroup.procs`, so that
a descriptor is all a task needs, in whatever namespace: it writes `0` (`server.enter_task`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.base import procfs
from tenfold.base.quantities import memory_value
from tenfold.errors import TenfoldError
from tenfold.launch.cgroups import PROCESS, groups, read

_PREFIX = "tenfold"
_LOOK_EVERY_S = 1.0
_RECENT_S = 3.0
_REMOVE_S = 2.0
_TRY_S = 0.02
_PROBE_S = 5.0
_PROBE_BYTES = 64 << 20
_ENDLESS = 1 << 60
"""Values from here on mean no limit.

Version 1 writes the largest number of pages if there is no limit.
"""
_VMSTAT = Path("/proc/vmstat")


def memory_end(
    kills: int, limit: int | None, exit_code: int | None, signal_number: int | None
) -> str | None:
    """How a task ended in whose group the kernel killed processes for memory.

    For a sentence that begins with the task's name; None if that was not what ended it.
    """
    at = f" at its limit of {memory_value(limit)}" if limit else ""
    if signal_number == signal.SIGKILL or exit_code == 128 + signal.SIGKILL:
        return f"was killed (out of memory{at})"
    if not exit_code and signal_number is None:
        return None
    own = f"exited with code {exit_code}" if signal_number is None else "was killed"
    what = "a process" if kills == 1 else f"{kills} processes"
    return f"{own} after {what} of it ran out of memory{at}"


@dataclass(frozen=True, slots=True)
class ControlGroupDirectory:
    """A directory in which groups with a limit can be created.

    It has the version of control groups.
    """

    directory: Path
    version: int

    @property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """The files of a group that set the limit, with the content of each."""
        if self.version == 2:
            return (("memory.max", "{}"), ("memory.swap.max", "0"), ("memory.oom.group", "1"))
        return (("memory.limit_in_bytes", "{}"), ("memory.memsw.limit_in_bytes", "{}"))

    @property
    def kills(self) -> str:
        """The file of a group that counts kills for its limit."""
        return "memory.events" if self.version == 2 else "memory.oom_control"


def find_place(process: Path = PROCESS) -> ControlGroupDirectory | None:
    """A directory in which this process may create groups, or None."""
    beside = False
    for version, controllers, directory in groups(process):
        if version == 1 and "memory" in controllers:
            return ControlGroupDirectory(directory, 1) if os.access(directory, os.W_OK) else None
        if version == 2:
            if beside and "memory" in read(directory / "cgroup.subtree_control").split():
                own = all(os.access(p, os.W_OK) for p in (directory, directory / "cgroup.procs"))
                return ControlGroupDirectory(directory, 2) if own else None
            if read(directory / "memory.max").strip() not in ("", "max"):
                return None  # to go beside a limit would be to escape it
            beside = True
    return None


def refusal(place: ControlGroupDirectory | None) -> str | None:
    """Why tasks get no memory limit at `place`, or None if they get one.

    This is tried, and nothing of the trial is left.
    """
    if place is None:
        return "this user may not create a control group for memory here"
    try:
        group = MemoryGroup.make(place, "probe", _PROBE_BYTES)
    except OSError as error:
        return f"a control group for memory cannot be created: {error.strerror}"
    try:
        subprocess.run(
            ["echo", "0"],
            stdout=group.entry,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "a control group for memory cannot be entered"
    else:
        return None
    finally:
        group.close()
        group.remove()


_numbers = itertools.count(1)


@dataclass(slots=True)
class MemoryGroup:
    """A group with a limit (bytes), and the descriptor by which a task enters it."""

    directory: Path
    place: ControlGroupDirectory
    limit: int
    entry: int

    @classmethod
    def make(cls, place: ControlGroupDirectory, label: str, limit: int) -> MemoryGroup:
        """Create a group. Raises OSError, and then leaves nothing behind."""
        name = ".".join((_PREFIX, *_own_mark(), label, str(next(_numbers))))
        directory = place.directory / name
        directory.mkdir()
        try:
            for file, form in place.limits:
                with contextlib.suppress(FileNotFoundError):  # no swap is counted here
                    (directory / file).write_text(form.format(limit))
            entry = os.open(directory / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            with contextlib.suppress(OSError):
                directory.rmdir()
            raise
        return cls(directory, place, limit, entry)

    def kills(self) -> int:
        """The number of processes killed because the group hit its limit."""
        return _count(read(self.directory / self.place.kills), "oom_kill")

    def close(self) -> None:
        """Close the group: no process enters it from here on."""
        if self.entry >= 0:
            os.close(self.entry)
            self.entry = -1

    def remove(self) -> bool:
        """Remove the group. False while a process is in it."""
        return _remove(self.directory)


def _remove(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _own_mark() -> tuple[str, str, str]:
    """The owner of these groups.

    The namespace that counts the pid, the pid, and when the process was started.
    """
    pid = os.getpid()
    return _pid_namespace(), str(pid), _start_of(pid) or "0"


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    return "0"


def _start_of(pid: int) -> str | None:
    """When a process was started, in kernel ticks, or None if it has ended."""
    stat = procfs.read_stat(pid)
    return str(stat.start) if stat is not None and not stat.ended else None


def sweep(place: ControlGroupDirectory | None = None) -> int:
    """Remove groups whose owner was killed. Returns their number.

    Owners in other PID namespaces cannot be looked up, and their groups stay.
    """
    place = place or find_place()
    removed = 0
    if place is not None:
        for directory in place.directory.glob(f"{_PREFIX}.{_pid_namespace()}.*"):
            _, _, pid, start, *_ = (*directory.name.split("."), "", "", "")
            if pid.isdigit() and _start_of(int(pid)) != start:
                removed += _remove(directory)
    return removed


class MemoryWatch:
    """The memory limits of one run's tasks, and the machine's count of kills.

    Must be opened and closed inside an event loop.
    """

    def __init__(self) -> None:
        self._place: ControlGroupDirectory | None = None
        self._left: list[MemoryGroup] = []
        self._machine: deque[tuple[float, int]] = deque()
        self._explained: deque[float] = deque()
        self._looking: asyncio.Task[None] | None = None

    def open(self, limits: Sequence[int | None]) -> None:
        """Determine what is possible if any task has a limit, and sweep old groups."""
        place = find_place() if any(limits) else None
        if place is not None and refusal(place) is None:
            self._place = place
            sweep(place)
        if _machine_kills() is not None:
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while True:
            self._machine.append((time.monotonic(), _machine_kills() or 0))
            while len(self._machine) > 1 and self._machine[1][0] < time.monotonic() - _RECENT_S:
                self._machine.popleft()
            await asyncio.sleep(_LOOK_EVERY_S)

    def begin(self, label: str, limit: int | None) -> MemoryGuard:
        """The guard of a task that is about to start.

        Raises TenfoldError if the task gets no group.
        """
        self._tidy()
        group = None
        if limit and self._place is not None:
            try:
                group = MemoryGroup.make(self._place, label, limit)
            except OSError as error:
                raise TenfoldError(f"it gets no control group: {error.strerror}") from error
        return MemoryGuard(self, group)

    def killed_by_machine(self) -> bool:
        """Whether the kernel has just killed for lack of memory of the machine.

        Kills for the limit of a group of ours do not count.
        """
        now = _machine_kills()
        if now is None or not self._machine:
            return False
        begin = self._machine[0][0]
        own = sum(moment >= begin for moment in self._explained)
        return now - self._machine[0][1] > own

    def explain(self, kills: int) -> None:
        """Record `kills` recent kills for a group's own limit."""
        self._explained.extend([time.monotonic()] * kills)
        while len(self._explained) > 1000:
            self._explained.popleft()

    def leave(self, group: MemoryGroup) -> None:
        """Remove a group, now or as soon as its last process is gone."""
        group.close()
        if not group.remove():
            self._left.append(group)

    def _tidy(self) -> None:
        self._left = [group for group in self._left if not group.remove()]

    async def close(self) -> None:
        """Remove all remaining groups, whose processes have been killed."""
        if self._looking is not None:
            self._looking.cancel()
        deadline = time.monotonic() + _REMOVE_S
        self._tidy()
        while self._left and time.monotonic() < deadline:
            await asyncio.sleep(_TRY_S)
            self._tidy()


class MemoryGuard:
    """One life of a task: its group, if any, and whether memory caused its end.

    `killed` is whether we sent it SIGKILL ourselves.
    """

    def __init__(self, watch: MemoryWatch, group: MemoryGroup | None) -> None:
        self._watch = watch
        self._group = group
        self.killed = False

    @property
    def entry(self) -> int | None:
        """The descriptor by which the task enters its group, or None."""
        return self._group.entry if self._group is not None else None

    def began(self) -> None:
        """The task is in its group: no other process enters it."""
        if self._group is not None:
            self._group.close()

    def end(self, exit_code: int | None = None, signal_number: int | None = None) -> str | None:
        """The life is over or never began: remove the group.

        If memory was why it ended, that is told in words for a sentence that begins with the task.
        """
        kills = 0
        if self._group is not None:
            kills = self._group.kills()
            self._watch.explain(kills)
            self._watch.leave(self._group)
        if kills and self._group is not None:
            return memory_end(kills, self._group.limit, exit_code, signal_number)
        if signal_number == signal.SIGKILL and not self.killed and self._watch.killed_by_machine():
            return "was killed by SIGKILL, probably because the machine ran out of memory"
        return None


def own_kills(process: Path = PROCESS) -> int:
    """The number of processes killed because this process's group hit its limit.

    0 where the group has none: what is killed then is killed for the machine's sake.
    """
    for version, controllers, directory in groups(process):
        if version == 1 and "memory" in controllers:
            limited = read(directory / "memory.limit_in_bytes").strip()
            kills = ControlGroupDirectory(directory, 1).kills
            return _count(read(directory / kills), "oom_kill") if _is_limit(limited) else 0
        if version == 2 and _is_limit(read(directory / "memory.max").strip()):
            return _count(read(directory / ControlGroupDirectory(directory, 2).kills), "oom_kill")
    return 0


def _is_limit(text: str) -> bool:
    return text.isdecimal() and int(text) < _ENDLESS


def _machine_kills() -> int | None:
    """The kernel's count of processes killed for lack of memory since boot.

    None if the kernel does not report it.
    """
    text = read(_VMSTAT)
    return _count(text, "oom_kill") if "\noom_kill " in text else None


def _count(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0
