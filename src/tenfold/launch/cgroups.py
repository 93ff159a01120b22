"""The control groups that a process is in.

Both versions are supported, and machines that have both.

Owns reading /proc for them. Leaves to others: what their files allow (`doctor.cgroup`), and groups
of one's own (`memory`). Facts: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROCESS = Path("/proc/self")

Group = tuple[int, frozenset[str], Path]
"""Version, controllers (none for version 2) and directory."""


def groups(process: Path = PROCESS) -> Iterator[Group]:
    """Every control group of a process, innermost first.

    `process` is the directory of the process in /proc.
    """
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
    for line in read(process / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path and (controllers or number == "0"):
            yield frozenset(filter(None, controllers.split(","))), PurePosixPath(path)


def _mounts(process: Path) -> Iterator[tuple[int, frozenset[str], PurePosixPath, Path]]:
    """Each mounted hierarchy: version, controllers, root within it, and directory."""
    for line in read(process / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        options = frozenset(kind[2].split(",")) - {"rw", "ro", "xattr"}
        version = 2 if kind[0] == "cgroup2" else 1
        yield version, options, PurePosixPath(fields[3]), Path(fields[4].replace("\\040", " "))


def read(path: Path) -> str:
    """The content of a kernel file, or an empty string if it cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
