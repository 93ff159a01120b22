"""The only way to open, list, write and remove files where tasks can write too.

A task owns its run directory as much as tenfold does. It can put a link, a pipe, a socket, a
device, a directory or a file of a terabyte in the place of any file, and a link in the place of a
directory. Nothing here follows such a link, waits for such a pipe, or reads without a bound.

Directories above the run directory are the user's, and links there are followed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MOST_BYTES = 32 << 20
"""The maximum size in bytes of a state file that tenfold writes.

Also the maximum size of the part of a growing file that is read at once.
"""

_INSIDE = ("tasks", "hangs", "cell")
"""Directories of a run in which tenfold has files of its own.

Those files are at most two levels further down.
"""

_LEVELS = 3
_CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


def _split(path: Path) -> tuple[str, list[str]]:
    """The last directory that no task can replace, and the names below it.

    The names lead from that directory to the file.
    """
    parts = os.fspath(path).rsplit("/", _LEVELS + 1)
    first = next((n for n, part in enumerate(parts[1:-1], 1) if part in _INSIDE), len(parts) - 1)
    if first == 0:
        return ".", parts
    return "/".join(parts[:first]) or "/", parts[first:]


@contextlib.contextmanager
def place(path: Path) -> Iterator[tuple[int, str]]:
    """Open the directory of `path`: its descriptor and the file's name in it.

    The descriptor is for `dir_fd`.

    Raises OSError, also if a directory between the run directory and the file is a link.
    """
    above, names = _split(path)
    descriptor = os.open(above, _ENTER)
    try:
        for name in names[:-1]:
            outer, descriptor = descriptor, os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(outer)
        yield descriptor, names[-1]
    finally:
        os.close(descriptor)


def open_descriptor(path: Path, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """A descriptor of the regular file at `path`, as os.open gives it.

    Raises OSError for anything but a regular file, and, to write, for one that has another name
    (a hard link) too: what is written there would change another file.
    """
    with place(path) as (directory, name):
        descriptor = os.open(name, flags | _CAREFUL, mode, dir_fd=directory)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    if found.st_nlink > 1 and flags & (os.O_WRONLY | os.O_RDWR):
        os.close(descriptor)
        raise OSError(errno.EMLINK, "is a hard link to another file", str(path))
    return descriptor


def open_regular(path: Path) -> IO[bytes]:
    """The regular file at `path`, to read. Raises OSError for anything else."""
    return os.fdopen(open_descriptor(path), "rb")


def open_own(path: Path, flags: int) -> tuple[int, Path | None]:
    """Open `path` for writing, and create it if it is missing.

    Returns the descriptor, and the path of what was set aside to make room, if anything was.

    Whatever else is in its place is renamed to `NAME.damaged-N`. Raises OSError.
    """
    try:
        return open_descriptor(path, flags | os.O_CREAT), None
    except OSError as error:
        if error.errno not in _FOREIGN:
            raise
    aside = set_aside(path)
    return open_descriptor(path, flags | os.O_CREAT), aside


_FOREIGN = (errno.ELOOP, errno.EINVAL, errno.EMLINK, errno.ENXIO, errno.EISDIR)
"""The errors of opening a link, pipe, socket, hard link or directory."""


def look(path: Path, *, links: bool = False) -> os.stat_result:
    """The status of `path` itself, without following links.

    Raises OSError, and with `links` False also for everything but regular files.
    """
    with place(path) as (directory, name):
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not links and not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))
    return found


def mark(path: Path) -> tuple[int, int, int] | None:
    """A value that changes whenever the file is replaced or written.

    None if there is no regular file.
    """
    try:
        found = look(path)
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def exists(path: Path) -> bool:
    """Whether there is a regular file at `path`."""
    return mark(path) is not None


def size_of(path: Path) -> int:
    """The size in bytes of the regular file at `path`, or 0 if there is none."""
    found = mark(path)
    return found[2] if found else 0


def directories(path: Path) -> list[str]:
    """Names of the directories in `path`, sorted; links and hidden ones are left out."""
    try:
        inner = _open_directory(path)
    except (OSError, ValueError):
        return []
    try:
        with os.scandir(inner) as entries:
            found = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    finally:
        os.close(inner)
    return sorted(name for name in found if name[0] != ".")


def names(path: Path) -> list[str]:
    """All names in a directory, sorted.

    Empty if the directory is missing or is a link.
    """
    try:
        inner = _open_directory(path)
    except (OSError, ValueError):
        return []
    try:
        return sorted(os.listdir(inner))
    except OSError:
        return []
    finally:
        os.close(inner)


def _open_directory(path: Path) -> int:
    with place(path) as (directory, name):
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name or ".", flags, dir_fd=directory)


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a whole file. Raises OSError, also if it has more than `most` bytes."""
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = b"" if size > most else stream.read(most + 1)
    if max(size, len(data)) > most:
        raise OSError(errno.EFBIG, f"has {max(size, len(data)):,} bytes, more than any", str(path))
    return data


def read_end(path: Path, size: int) -> bytes:
    """Read the last `size` bytes of a file, or all. Raises OSError."""
    with open_regular(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
        return stream.read(size)


def read_piece(path: Path, start: int, size: int) -> bytes:
    """At most `size` bytes of a regular file, from offset `start`.

    Empty for a link and for everything that is not a regular file.
    """
    try:
        with open_regular(path) as stream:
            return os.pread(stream.fileno(), size, start)
    except (OSError, ValueError):
        return b""


def make_directory(path: Path) -> None:
    """Create a directory at `path` with mode 0700.

    Anything else at `path` is set aside. Raises OSError.
    """
    with place(path) as (directory, name):
        for _ in range(2):
            try:
                return os.mkdir(name, 0o700, dir_fd=directory)
            except FileExistsError:
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    return None
            if set_aside(path) is None:
                break
    raise OSError(errno.ENOTDIR, "is no directory", str(path))


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all. Raises OSError.

    A directory in its place is set aside; anything else there is replaced, itself.
    """
    with place(path) as (directory, name):
        beside = f".{name}.{os.getpid()}.{os.urandom(8).hex()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(beside, flags, 0o600, dir_fd=directory)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)
            try:
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
            except IsADirectoryError:
                set_aside(path)
                os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside, dir_fd=directory)
            raise


def rename(path: Path, name: str) -> None:
    """Rename `path` to `name` in the same directory. Raises OSError."""
    with place(path) as (directory, own):
        os.rename(own, name, src_dir_fd=directory, dst_dir_fd=directory)


def remove(path: Path) -> None:
    """Remove the file at `path`, but not a directory. Never raises OSError."""
    with contextlib.suppress(OSError), place(path) as (directory, name):
        os.unlink(name, dir_fd=directory)


def touch(path: Path) -> None:
    """Create an empty file at `path` unless there is one. Raises OSError."""
    os.close(open_own(path, os.O_WRONLY)[0])


def is_open(path: Path, descriptor: int) -> bool:
    """Whether the open file `descriptor` is the file at `path` now.

    True if this cannot be determined.
    """
    try:
        there = look(path, links=True)
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
    return os.path.samestat(there, os.fstat(descriptor))


def set_aside(path: Path) -> Path | None:
    """Rename `path` to `NAME.damaged-N`, never over another file.

    None if it cannot be renamed.

    For a writer that goes on where another one broke off: nothing is lost by writing anew, and
    people can look at what was there.
    """
    with contextlib.suppress(OSError), place(path) as (directory, name):
        folder = stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
        for number in itertools.count(1):
            aside = f"{name}.damaged-{number}"
            try:
                _hold_name(aside, directory, folder=folder)
            except FileExistsError:
                continue
            try:
                os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                (os.rmdir if folder else os.unlink)(aside, dir_fd=directory)
                raise
            return path.with_name(aside)
    return None


def _hold_name(name: str, directory: int, *, folder: bool) -> None:
    """Create an entry that a later rename replaces.

    Raises FileExistsError if the name is taken.
    """
    if folder:
        os.mkdir(name, 0o700, dir_fd=directory)
    else:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o600, dir_fd=directory))
