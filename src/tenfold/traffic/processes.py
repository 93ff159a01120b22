"""Each task's processes in /proc: their sockets, CPU time and memory.

A task's processes are the one that was started, its session, and all that descend from either.
What has left both, by a fork of its own into a session of its own, is known by the task's name in
its environment. /proc is gone through from time to time, and when a socket turns up that nobody
known has; between that, only known processes are looked at. Linux only: elsewhere nothing is found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tenfold.base import procfs
from tenfold.base.procfs import ProcessStat


@dataclass(frozen=True, slots=True)
class Usage:
    """A task's CPU seconds, resident bytes and number of processes.

    CPU seconds are counted since the task's first start. Bytes and processes are those of now.

    Pages that processes share (those of what was imported before a fork) count in each of them.
    """

    cpu_s: float
    memory: int
    processes: int


@dataclass(slots=True)
class _Account:
    """What is known of one task.

    Its root process, all its processes, and its CPU time up to now.
    """

    root: int | None = None
    pids: set[int] = field(default_factory=set)
    used_s: float = 0.0
    last_s: dict[tuple[int, int], float] = field(default_factory=dict)
    """CPU time of each living process at the last look, by pid and birth."""


class Processes:
    """The processes of the tasks of one run, from this process's /proc.

    The run is the one in `run_directory`.
    """

    def __init__(self, run_directory: str, proc: str = "/proc") -> None:
        self._run = os.fsencode(run_directory)
        self._proc = proc
        self._accounts: dict[str, _Account] = {}
        self._neighbours: dict[str, set[int]] = {}
        """Processes of tasks of this run that another sampler observes.

        The tasks are on the same host.
        """
        self._strangers: set[tuple[int, int]] = set()
        """Processes that belong to no task, by pid and birth.

        Their environment was read.
        """

    def begin(self, task: str, pid: int, used_s: float = 0.0) -> None:
        """Count `pid` as the root process of `task` from now on.

        `used_s` is CPU time that was counted before this.
        """
        account = self._accounts.setdefault(task, _Account(used_s=used_s))
        account.root = pid
        account.pids = {pid}
        account.last_s.clear()

    def end(self, task: str) -> None:
        """End `task`. The CPU time it has used stays counted."""
        account = self._accounts.get(task)
        if account is not None:
            account.root = None
            account.pids.clear()
            account.last_s.clear()

    def living(self) -> list[str]:
        """The tasks that run."""
        return [task for task, account in self._accounts.items() if account.root is not None]

    def search(self) -> None:
        """Search all processes, and find those of each task."""
        stats = {stat.pid: stat for stat in procfs.living(self._proc)}
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
        self._strangers &= {(pid, stat.start) for pid, stat in stats.items()}

    def _owner(
        self,
        pid: int,
        stats: Mapping[int, ProcessStat],
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
            pid = stat.ppid
        else:
            owner = owners[pid]
        for each in reversed(line):
            owner = owner or self._named(each, stats[each])
            owners[each] = owner
        return owner

    def _named(self, pid: int, stat: ProcessStat) -> str | None:
        """The task of this run named in the environment of a process."""
        if (pid, stat.start) in self._strangers or pid == os.getpid():
            return None
        environment = procfs.read_environment(pid, self._proc, self._run) or {}
        name = environment.get(b"TENFOLD_TASK")
        if name is not None and environment.get(b"TENFOLD_RUN_DIRECTORY") == self._run:
            return name.decode(errors="replace")
        self._strangers.add((pid, stat.start))
        return None

    def usage(self) -> dict[str, Usage]:
        """The current usage of each running task."""
        return {task: self._usage(self._accounts[task]) for task in self.living()}

    def _usage(self, account: _Account) -> Usage:
        memory, last_s = 0, {}
        for pid in list(account.pids):
            stat = procfs.read_stat(pid, self._proc)
            if stat is None or stat.ended:
                account.pids.discard(pid)
                continue
            memory += stat.memory_bytes
            key = (pid, stat.start)
            last_s[key] = stat.cpu_s
            account.used_s += max(0.0, stat.cpu_s - account.last_s.get(key, 0.0))
        account.last_s = last_s
        return Usage(round(account.used_s, 2), memory, len(last_s))

    def sockets(self) -> tuple[dict[int, str], dict[int, str]]:
        """The task behind each socket, by inode.

        The first are the tasks that run here, the second the run's others.
        """
        own = {task: self._accounts[task].pids for task in self.living()}
        return self._behind(own), self._behind(self._neighbours)

    def _behind(self, tasks: Mapping[str, set[int]]) -> dict[int, str]:
        return {
            inode: task
            for task, pids in tasks.items()
            for pid in pids
            for inode in procfs.socket_inodes(pid, self._proc)
        }
