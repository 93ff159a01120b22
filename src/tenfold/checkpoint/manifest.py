"""A checkpoint on disk: a directory of files, and a manifest that proves it whole.

Owns the manifest, what it proves, and the names of checkpoints in their directory. When one is
made and what it holds is `checkpoints`' and its callers'.

    000007-step-1200/        whole, or it would not have this name; the number only grows
      tenfold.json           the manifest: step, position, time, each file's size and CRC-32
      state.pt, …            what the framework's own writer wrote
    000006-step-900.damaged  did not match its manifest, and was set aside
    .saving-…, .removing-…   is being written or removed, or was when its process was killed

A CRC-32 finds what disks, file systems and killed writers do to files, not what an attacker does:
whoever may write here writes the manifest, too. Nothing here is unpickled, and no link is followed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.errors import TenfoldError

MANIFEST = "tenfold.json"
DAMAGED = ".damaged"
SAVING = ".saving-"
REMOVING = ".removing-"

_VERSION = 1
_NAME = re.compile(r"(\d{6,})-step-\d+(\.damaged(?:-again)*)?")
_MOST_MANIFEST_BYTES = 32 << 20
_CHUNK = 1 << 20
_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is whole.

    Attributes:
        path: its directory; what `save`'s writer wrote is in it.
        step: the script's own count.
        position: what the script saved beside it, as JSON gives it back.
        time: when it was saved, in seconds since 1970.
        number: its place among those of its directory, counted from 1; the newest has the highest.
        files: its files but the manifest, relative to `path`.
    """

    path: Path
    step: int
    position: dict[str, Any]
    time: float
    number: int
    files: tuple[str, ...]


class DamagedError(Exception):
    """A checkpoint does not match its manifest. The message describes how."""


Report = Callable[[Path, Path | None, str], None]
"""Called with a damaged checkpoint: its path, its new path, and the fault.

Nowhere (None), if it could not be moved, or may be good for somebody who can read it.
"""


def name_of(number: int, step: int) -> str:
    """`000007-step-1200`."""
    return f"{number:06}-step-{step}"


def numbers(directory: int, *, damaged: bool = False) -> dict[str, int]:
    """The checkpoints in an open directory by name, or those set aside: their numbers."""
    found = {}
    for entry in os.scandir(directory):
        match = _NAME.fullmatch(entry.name)
        wanted = match is not None and damaged == bool(match[2])
        if match and wanted and entry.is_dir(follow_symlinks=False):
            found[entry.name] = int(match[1])
    return found


def newest(directory: int, path: Path, report: Report) -> Checkpoint | None:
    """The newest whole checkpoint in an open directory, or None.

    The directory is at `path`.

    A damaged one that is newer is set aside: renamed to end in `.damaged`, and reported.
    """
    found = numbers(directory)
    for name in sorted(found, key=lambda name: found[name], reverse=True):
        try:
            return examine(directory, path, name)
        except FileNotFoundError:  # its writer has just removed it
            continue
        except PermissionError as error:
            report(path / name, None, f"cannot be read: {error.strerror}")
        except DamagedError as damage:
            with contextlib.suppress(FileNotFoundError):
                there = _set_aside(directory, name)
                report(path / name, path / there if there else None, str(damage))
    return None


def examine(directory: int, path: Path, name: str, *, thoroughly: bool = True) -> Checkpoint:
    """The checkpoint called `name` in an open directory, which is at `path`.

    Raises DamagedError unless all files are as the manifest says; `thoroughly` reads them all,
    otherwise their sizes have to do. Raises FileNotFoundError if there is none of that name, and
    PermissionError for one that is not for this user.
    """
    own = open_directory(name, directory)
    try:
        body = _manifest(own)
        sizes = {file: told[0] for file, told in body["files"].items()} if thoroughly else {}
        found = dict(_contents(own, sizes))
        for file, (size, checksum) in body["files"].items():
            _compare(file, found.get(file), size, checksum if thoroughly else None)
        return Checkpoint(
            path=path / name,
            step=body["step"],
            position=body["position"],
            time=body["time"],
            number=int(name.partition("-")[0]),
            files=tuple(body["files"]),
        )
    except PermissionError:
        raise
    except OSError as error:
        raise DamagedError(f"cannot be read: {error.strerror or error}") from error
    finally:
        os.close(own)


def open_directory(name: str, within: int | None = None) -> int:
    """Open a directory that is not a link, and return its descriptor.

    Raises OSError, also for anything else than a directory.
    """
    return os.open(name, _NO_LINK | os.O_DIRECTORY, dir_fd=within)


def _all_of(stream: Any) -> bytes:
    """What a manifest holds. Raises ValueError for a file that is larger than any."""
    data: bytes = stream.read(_MOST_MANIFEST_BYTES)
    if len(data) == _MOST_MANIFEST_BYTES:
        raise ValueError("too large")
    return data


def _compare(
    file: str, found: tuple[int, int | None] | None, size: int, checksum: int | None
) -> None:
    if found is None:
        raise DamagedError(f"{file} is missing")
    if found[0] != size:
        raise DamagedError(f"{file} has {found[0]} bytes instead of {size}")
    if checksum is not None and found[1] != checksum:
        raise DamagedError(f"{file} was changed or damaged")


def _manifest(own: int) -> dict[str, Any]:
    """The contents of the manifest, as they were written into it."""
    try:
        with open_file(MANIFEST, own) as stream:
            told = json.loads(_all_of(stream))
        body: dict[str, Any] = told["checkpoint"]
        whole = told["version"] == _VERSION and told["crc32"] == _checksum(body)
    except FileNotFoundError:
        raise DamagedError(f"{MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise DamagedError(f"{MANIFEST} was changed or damaged")
    return body


def _checksum(body: Mapping[str, Any]) -> int:
    return zlib.crc32(_text(body))


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def open_file(name: str, within: int) -> Any:
    """Open a file in an open directory for reading.

    Raises OSError, also for a link or a pipe.
    """
    descriptor = os.open(name, _NO_LINK, dir_fd=within)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", name)
    return os.fdopen(descriptor, "rb", buffering=0)


def _contents(
    own: int, sizes: Mapping[str, int] | None, flush: bool = False
) -> Iterator[tuple[str, Any]]:
    """Every file below an open directory except the manifest.

    Each with its relative name, size and CRC-32.

    With `sizes` only files of the size that stands there are read; the CRC-32 of others is None.
    With `flush` files and directories are on the disk when the iterator has ended. Raises OSError
    for links, pipes and the like.
    """
    for place, directories, files, within in os.fwalk(".", dir_fd=own, onerror=_raise):
        links = [name for name in directories if _is_link(name, within)]
        for file in (*files, *links):
            name = os.path.normpath(f"{place}/{file}")
            if name == MANIFEST:
                continue
            with open_file(file, within) as stream:
                if flush:
                    os.fsync(stream.fileno())
                size = os.fstat(stream.fileno()).st_size
                wanted = sizes is None or sizes.get(name) == size
                yield name, (size, _read(stream) if wanted else None)
        if flush:
            os.fsync(within)


def _is_link(name: str, within: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)


def _raise(error: OSError) -> None:
    raise error


def _read(stream: Any) -> int:
    checksum = 0
    while data := stream.read(_CHUNK):
        checksum = zlib.crc32(data, checksum)
    return checksum


def seal(directory: Path, step: int, position: Mapping[str, Any], time: float) -> None:
    """Write the manifest of `directory`.

    When this returns, all of the directory is on the disk.

    Raises OSError, and TenfoldError for what no checkpoint may hold.
    """
    own = open_directory(str(directory))
    try:
        files = {name: list(told) for name, told in _contents(own, None, flush=True)}
        body = {"step": step, "position": dict(position), "time": time, "files": files}
        told = {"version": _VERSION, "checkpoint": body, "crc32": _checksum(body)}
        with open(directory / MANIFEST, "xb", opener=_private) as stream:
            stream.write(_text(told))
            stream.flush()
            os.fsync(stream.fileno())
        os.fsync(own)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ELOOP, errno.EEXIST):
            raise TenfoldError(
                f"a checkpoint contains only regular files, and no {MANIFEST}: {error.filename}",
                cause=error,
            ) from error
        raise
    finally:
        os.close(own)


def checked_position(position: Mapping[str, Any] | None) -> dict[str, Any]:
    """`position` as JSON returns it. Raises TenfoldError if JSON cannot express it."""
    try:
        given: dict[str, Any] = json.loads(_text(dict(position or {})))
    except (TypeError, ValueError, RecursionError) as error:
        raise TenfoldError(
            f"the position of a checkpoint is not JSON: {error}",
            hint="use numbers, texts, lists and dicts; "
            "convert NumPy values with int(…) or float(…)",
            cause=error,
        ) from error
    return given


def publish(directory: Path, beside: Path, step: int) -> Path:
    """Move the sealed contents of `beside` into `directory`, on the disk.

    Returns the new path.
    """
    own = open_directory(str(directory))
    try:
        taken = numbers(own) | numbers(own, damaged=True)
        number = max(taken.values(), default=0)
        while True:
            number += 1
            name = name_of(number, step)
            try:
                os.rename(beside.name, name, src_dir_fd=own, dst_dir_fd=own)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another writer was faster
                    continue
                raise
            os.fsync(own)
            return directory / name
    finally:
        os.close(own)


def _set_aside(directory: int, name: str) -> str | None:
    """Rename a damaged checkpoint, and return its new name.

    None if the directory does not accept it.

    Raises FileNotFoundError if somebody else was faster.
    """
    taken = set(os.listdir(directory))
    there = name + DAMAGED
    while there in taken:
        there += "-again"
    try:
        os.rename(name, there, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    return there


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
