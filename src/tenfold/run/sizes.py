"""How much disk space runs take, and how much their removal would free.

A run that resumes another one shares its checkpoint: both directories have a hard link to the same
file. A file counts once per run, and its space is freed only when its last link goes. Links to
elsewhere are never followed, and a mounted directory inside a run is left out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from tenfold.run.jsonfiles import JsonFile
from tenfold.run.rundir import SHARED, RunDirectory

_BLOCK = 512
"""`st_blocks` counts in this unit on every system (stat(3))."""

CACHED_FROM = 1000
"""The number of entries from which `size.json` keeps the size of an ended run."""

_Identity = tuple[int, int]


@dataclass(slots=True)
class DiskUse:
    """The files below one or more run directories.

    Attributes:
        plain: bytes of directories, and of files that have one name only.
        shared: of files with several names, by device and inode: bytes, names, names found here.
        entries: the number of files and directories.
        unreadable: directories that could not be listed, so that sizes are lower limits.
        mounted: a directory at which another file system is mounted. It is not counted.
    """

    plain: int = 0
    shared: dict[_Identity, tuple[int, int, int]] = field(default_factory=dict)
    entries: int = 0
    unreadable: int = 0
    mounted: str | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk, each file counted once."""
        return self.plain + sum(size for size, _, _ in self.shared.values())

    @property
    def freed(self) -> int:
        """Bytes that are free when all these directories are removed."""
        return self.plain + sum(
            size for size, names, found in self.shared.values() if found >= names
        )

    def __add__(self, other: Self) -> DiskUse:
        """Both together. A file that both share counts once."""
        shared = dict(self.shared)
        for identity, (size, names, found) in other.shared.items():
            before = shared.get(identity, (size, names, 0))[2]
            shared[identity] = (size, names, before + found)
        return DiskUse(
            self.plain + other.plain,
            shared,
            self.entries + other.entries,
            self.unreadable + other.unreadable,
            self.mounted or other.mounted,
        )


@dataclass(frozen=True, slots=True)
class KeptSize(JsonFile):
    """`size.json`: the size of a run in bytes, as of `mark` (`_mark`)."""

    version: int = 1
    bytes: int = 0
    mark: int = -1


def disk_use(run: RunDirectory) -> DiskUse:
    """Look at every file of `run`. Files that vanish meanwhile are left out."""
    made = DiskUse()
    with contextlib.suppress(OSError):
        top = run.path.lstat()
        made.plain, made.entries = top.st_blocks * _BLOCK, 1
        for found in _below(os.fspath(run.path), top.st_dev, made):
            _count(made, found)
    return made


def _below(top: str, device: int, made: DiskUse) -> Iterator[os.stat_result]:
    pending = [top]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if entry.is_dir(follow_symlinks=False):
                            if found.st_dev != device:
                                made.mounted = entry.path
                                continue
                            pending.append(entry.path)
                        yield found
        except FileNotFoundError:
            continue
        except OSError:
            made.unreadable += 1


def _count(made: DiskUse, found: os.stat_result) -> None:
    made.entries += 1
    size = found.st_blocks * _BLOCK
    if found.st_nlink < 2 or _is_directory(found):
        made.plain += size
        return
    identity = (found.st_dev, found.st_ino)
    before = made.shared.get(identity, (size, found.st_nlink, 0))[2]
    made.shared[identity] = (size, found.st_nlink, before + 1)


def _is_directory(found: os.stat_result) -> bool:
    return (found.st_mode & 0o170000) == 0o040000


def size_of_run(run: RunDirectory, *, over: bool) -> int:
    """Bytes that `run` takes on the disk.

    A large run that is `over` is measured once. `size.json` keeps its size until an entry is added
    to or removed from one of its directories.
    """
    if not over:
        return disk_use(run).size
    path, mark = run.path / "size.json", _mark(run)
    kept = KeptSize.read(path)
    if kept is not None and kept.mark == mark:
        return kept.bytes
    found = disk_use(run)
    if found.entries >= CACHED_FROM:
        with contextlib.suppress(OSError):  # another user's run
            KeptSize(bytes=found.size, mark=mark).write(path)
    return found.size


def _mark(run: RunDirectory) -> int:
    """The last change of the directories in which a run that is over may still change."""
    return max(_changes(run), default=0)


def _changes(run: RunDirectory) -> Iterator[int]:
    places: Iterable[str] = (os.fspath(run.path / name) for name in ("tasks", *SHARED))
    for place in places:
        with contextlib.suppress(OSError):
            yield os.lstat(place).st_mtime_ns
            with os.scandir(place) as entries:
                for entry in entries if not place.endswith("/tasks") else ():
                    yield entry.stat(follow_symlinks=False).st_mtime_ns
