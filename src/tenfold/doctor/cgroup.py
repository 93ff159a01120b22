"""Limits of cores and memory that are set on this process.

A container, a batch system or systemd sets them.

Owns: what the files of control groups allow. A limit of any group above the own one counts.
Facts: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tenfold.launch.cgroups import PROCESS, groups, read


@dataclass(frozen=True, slots=True)
class Limits:
    """What the control groups allow; None: no limit.

    `memory` and `used` are bytes of the group whose limit leaves the least; `used` is without
    what the kernel would give back (inactive file pages).
    """

    cores: float | None = None
    memory: int | None = None
    used: int = 0

    @property
    def left(self) -> int | None:
        """Bytes that may still be taken."""
        return None if self.memory is None else max(0, self.memory - self.used)


def limits(process: Path = PROCESS) -> Limits:
    """The limits on a process, or no limits if there are no control groups.

    `process` is the directory of the process in /proc.
    """
    cores: list[float] = []
    memories: list[tuple[int, int]] = []
    for version, controllers, group in groups(process):
        if version == 2 or "cpu" in controllers:
            cores += filter(None, [_quota(group, version)])
        if version == 2 or "memory" in controllers:
            memories += filter(None, [_memory(group, version)])
    least = min(memories, key=lambda each: each[0] - each[1], default=None)
    memory, used = least or (None, 0)
    return Limits(min(cores, default=None), memory, used)


def _quota(group: Path, version: int) -> float | None:
    """Cores that the group may use at once."""
    if version == 2:
        quota, _, period = read(group / "cpu.max").strip().partition(" ")
    else:
        quota = read(group / "cpu.cfs_quota_us").strip()
        period = read(group / "cpu.cfs_period_us").strip()
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return None  # `max` and -1: no limit
    return int(quota) / int(period)


def _memory(group: Path, version: int) -> tuple[int, int] | None:
    """Limit and use in bytes; None without a limit."""
    names = ("memory.max", "memory.current") if version == 2 else _OLD_NAMES
    limit, used = (read(group / name).strip() for name in names)
    if not limit.isdecimal() or int(limit) >= _ENDLESS:
        return None
    word = "inactive_file" if version == 2 else "total_inactive_file"
    lines = (line.split() for line in read(group / "memory.stat").splitlines())
    spare = sum(int(words[1]) for words in lines if words[0] == word)
    return int(limit), max(0, int(used or 0) - spare)


_OLD_NAMES = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_ENDLESS = 1 << 60
"""Version 1 writes the largest number of pages where there is no limit."""
