"""The processes of each task, as /proc shows them: their sockets, CPU time and memory.

A task's processes are the one that was started, its session, and all that descend from either.
What has left both, by a fork of its own into a session of its own, is known by the task's name in
its environment. /proc is gone through from time to time, and when a socket turns up that nobody
known has; between that, only known processes are looked at. Linux only: elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_TICKS_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_NAME, _RUN = b"TENFOLD_TASK=", b"TENFOLD_RUN_DIRECTORY="


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds used since the task's first start, bytes resident now, processes now.

    Pages that processes share (those of what was imported before a fork) count in each of them.
    """

    cpu_s: float
    memory: int
    processes: int


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    session: int
    cpu_s: float
    memory: int
    born: int


@dataclass(slots=True)
class _Account:
    """What is known of one task: its root process, all its processes, CPU time up to now."""

    root: int | None = None
    pids: set[int] = field(default_factory=set)
    used_s: float = 0.0
    last_s: dict[tuple[int, int], float] = field(default_factory=dict)
    """CPU time of each living process at the last look, by pid and birth."""


class Processes:
    """The processes of the tasks of the run in `run_directory`, out of this process's /proc."""

    def __init__(self, run_directory: str, proc: str = "/proc") -> None:
        self._run = _RUN + os.fsencode(run_directory)
        self._proc = proc
        self._accounts: dict[str, _Account] = {}
        self._neighbours: dict[str, set[int]] = {}
        """Processes of tasks of this run that somebody else samples, on a host that is shared."""
        self._strangers: set[tuple[int, int]] = set()
        """Processes whose environment was read and that are no task's, by pid and birth."""

    def begin(self, task: str, pid: int, used_s: float = 0.0) -> None:
        """`task` runs as `pid` from now on; `used_s` is CPU time that was counted before this."""
        account = self._accounts.setdefault(task, _Account(used_s=used_s))
        account.root = pid
        account.pids = {pid}
        account.last_s.clear()

    def end(self, task: str) -> None:
        """`task` has ended; what it used stays counted."""
        account = self._accounts.get(task)
        if account is not None:
            account.root = None
            account.pids.clear()
            account.last_s.clear()

    def living(self) -> list[str]:
        """The tasks that run."""
        return [task for task, account in self._accounts.items() if account.root is not None]

    def search(self) -> None:
        """Go through all processes there are, and find those of each task."""
        stats = {pid: stat for pid in self._pids() if (stat := self._stat(pid))}
        roots = {a.root: task for task, a in self._accounts.items() if a.root is not None}
        owners: dict[int, str | None] = {}
        for pid in stats:
            self._owner(pid, stats, roots, owners)
        found: dict[str, set[int]] = {}
        for pid, owner in owners.items():
            if owner is not None:
                found.setdefault(owner, set()).add(pid)
        for task, account in self._accounts.items():
            if account.root is not None:
                account.pids = found.pop(task, set()) | {account.root}
        self._neighbours = found
        self._strangers &= {(pid, stat.born) for pid, stat in stats.items()}

    def _owner(
        self,
        pid: int,
        stats: Mapping[int, _Stat],
        roots: Mapping[int, str],
        owners: dict[int, str | None],
    ) -> str | None:
        line = []
        owner: str | None = None
        while pid not in owners:
            stat = stats.get(pid)
            if pid in roots or stat is None:
                owner = roots.get(pid)
                owners[pid] = owner
                break
            line.append(pid)
            owners[pid] = None  # ends the search if parents go in a circle
            if stat.session in roots:
                owner = roots[stat.session]
                break
            pid = stat.parent
        else:
            owner = owners[pid]
        for each in reversed(line):
            owner = owner or self._named(each, stats[each])
            owners[each] = owner
        return owner

    def _named(self, pid: int, stat: _Stat) -> str | None:
        """The task of this run in whose environment a process was started."""
        if (pid, stat.born) in self._strangers or pid == os.getpid():
            return None
        with contextlib.suppress(OSError), open(f"{self._proc}/{pid}/environ", "rb") as stream:
            entries = stream.read().split(b"\0")
            names = [entry.removeprefix(_NAME) for entry in entries if entry.startswith(_NAME)]
            if self._run in entries and names:
                return names[0].decode(errors="replace")
        self._strangers.add((pid, stat.born))
        return None

    def usage(self) -> dict[str, Usage]:
        """What each running task uses now."""
        return {task: self._usage(self._accounts[task]) for task in self.living()}

    def _usage(self, account: _Account) -> Usage:
        memory, last_s = 0, {}
        for pid in list(account.pids):
            stat = self._stat(pid)
            if stat is None:
                account.pids.discard(pid)
                continue
            memory += stat.memory
            key = (pid, stat.born)
            last_s[key] = stat.cpu_s
            account.used_s += max(0.0, stat.cpu_s - account.last_s.get(key, 0.0))
        account.last_s = last_s
        return Usage(round(account.used_s, 2), memory, len(last_s))

    def sockets(self) -> tuple[dict[int, str], dict[int, str]]:
        """The task behind each socket, by inode: those that run here, and the run's others."""
        own = {task: self._accounts[task].pids for task in self.living()}
        return self._behind(own), self._behind(self._neighbours)

    def _behind(self, tasks: Mapping[str, set[int]]) -> dict[int, str]:
        return {
            inode: task
            for task, pids in tasks.items()
            for pid in pids
            for inode in self._inodes(pid)
        }

    def _inodes(self, pid: int) -> Iterable[int]:
        """Inodes of a process's sockets; nothing of one that is gone or not ours to see."""
        directory = f"{self._proc}/{pid}/fd"
        try:
            names = os.listdir(directory)
        except OSError:
            return
        for name in names:
            try:
                link = os.readlink(f"{directory}/{name}")
            except OSError:
                continue
            if link.startswith("socket:["):
                yield int(link[8:-1])

    def _pids(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._proc) if name.isdecimal()]
        except OSError:
            return []

    def _stat(self, pid: int) -> _Stat | None:
        """A process that lives; fields of proc_pid_stat(5), counted after the name."""
        try:
            with open(f"{self._proc}/{pid}/stat", "rb") as stream:
                fields = stream.read().rpartition(b")")[2].split()
            if fields[0] in (b"Z", b"X"):
                return None
            ticks = int(fields[11]) + int(fields[12])
            return _Stat(
                parent=int(fields[1]),
                session=int(fields[3]),
                cpu_s=ticks * _TICKS_S,
                memory=int(fields[21]) * _PAGE_BYTES,
                born=int(fields[19]),
            )
        except (OSError, IndexError, ValueError):
            return None
