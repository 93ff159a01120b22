"""Limits that a container, a batch system or systemd sets on this process: cores and memory.

Owns: reading control groups of both versions, and of machines that have both. A limit of any
group above the own one counts. Facts: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_PROCESS = Path("/proc/self")


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


def limits(process: Path = _PROCESS) -> Limits:
    """The limits on a process, `process` being its directory in /proc; none where there are
    no control groups."""
    cores: list[float] = []
    memories: list[tuple[int, int]] = []
    for version, controllers, group in _groups(process):
        if version == 2 or "cpu" in controllers:
            cores += filter(None, [_quota(group, version)])
        if version == 2 or "memory" in controllers:
            memories += filter(None, [_memory(group, version)])
    least = min(memories, key=lambda each: each[0] - each[1], default=None)
    memory, used = least or (None, 0)
    return Limits(min(cores, default=None), memory, used)


def _groups(process: Path) -> Iterator[tuple[int, frozenset[str], Path]]:
    """Version, controllers and directory of every group this process is in, innermost first."""
    own = dict(_own(process))
    for version, controllers, root, mount in _mounts(process):
        inside = own.get(controllers if version == 1 else frozenset())
        if inside is None:
            continue
        with contextlib.suppress(ValueError):  # of a namespace that shows nothing of it
            inside = inside.relative_to(root)
        parts = PurePosixPath(str(inside).lstrip("/")).parts
        if ".." in parts:
            parts = ()
        for depth in range(len(parts), -1, -1):
            yield version, controllers, mount.joinpath(*parts[:depth])


def _own(process: Path) -> Iterator[tuple[frozenset[str], PurePosixPath]]:
    for line in _read(process / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path and (controllers or number == "0"):
            yield frozenset(filter(None, controllers.split(","))), PurePosixPath(path)


def _mounts(process: Path) -> Iterator[tuple[int, frozenset[str], PurePosixPath, Path]]:
    """Version, controllers, root within the hierarchy, and place of each mounted hierarchy."""
    for line in _read(process / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        options = frozenset(kind[2].split(",")) - {"rw", "ro", "xattr"}
        version = 2 if kind[0] == "cgroup2" else 1
        yield version, options, PurePosixPath(fields[3]), Path(fields[4].replace("\\040", " "))


def _quota(group: Path, version: int) -> float | None:
    """Cores that the group may use at once."""
    if version == 2:
        quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    else:
        quota = _read(group / "cpu.cfs_quota_us").strip()
        period = _read(group / "cpu.cfs_period_us").strip()
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return None  # `max` and -1: no limit
    return int(quota) / int(period)


def _memory(group: Path, version: int) -> tuple[int, int] | None:
    """Limit and use in bytes; None without a limit."""
    names = ("memory.max", "memory.current") if version == 2 else _OLD_NAMES
    limit, used = (_read(group / name).strip() for name in names)
    if not limit.isdecimal() or int(limit) >= _ENDLESS:
        return None
    word = "inactive_file" if version == 2 else "total_inactive_file"
    lines = (line.split() for line in _read(group / "memory.stat").splitlines())
    spare = sum(int(words[1]) for words in lines if words[0] == word)
    return int(limit), max(0, int(used or 0) - spare)


_OLD_NAMES = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_ENDLESS = 1 << 60
"""Version 1 writes the largest number of pages where there is no limit."""


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
