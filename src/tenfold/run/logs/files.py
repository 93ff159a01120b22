"""The log of one stream of a task. It may consist of two files.

A log that has reached its limit becomes `stdout.log.1`, in the place of an older one, and a new
one begins; its times with it. Offsets, those in the times too, count from the first byte that the
stream ever had, so that they mean the same before and after that. Owns where which bytes are;
writing is `tenfold.run.logs.writer`'s, lines are `tenfold.run.logs.reader`'.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold.run import files
from tenfold.run.files import open_regular
from tenfold.run.rundir import TaskDirectory

Identity = tuple[int, int]
"""Device and inode: they identify a file under any name until it is removed."""

PIECE_BYTES = 1 << 18
LONGEST_LINE_BYTES = 1 << 20
_TRIES = 20
_TRY_S = 0.001
_LINE_BYTES = 128
_FARTHEST = 1 << 62


@dataclass(frozen=True, slots=True)
class LogPart:
    """A file of the log, and the offsets it contains."""

    start: int
    end: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The files of a stream at the time of `look`, the oldest first."""

    log: Path
    older: Path
    older_times: Path
    parts: tuple[LogPart, ...] = ()

    @property
    def dropped(self) -> int:
        """The number of bytes before the oldest byte that still exists."""
        return self.parts[0].start if self.parts else 0

    @property
    def turn(self) -> int:
        """The offset at which the newest file begins."""
        return self.parts[-1].start if self.parts else 0

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.parts[-1].end if self.parts else 0

    def are_current(self) -> bool:
        """Whether nothing was written since. Only the newest file is checked."""
        found = _measured(self.log)
        newest = self.parts[-1] if self.parts else None
        if found is None or newest is None:
            return found is None and newest is None
        return found == (newest.identity, newest.end - newest.start)

    def read(self, start: int, size: int) -> bytes:
        """Read `size` bytes from offset `start`.

        Fewer if the log ends before that or has been removed.
        """
        found = []
        for part in self.parts:
            begin, end = max(start, part.start), min(start + size, part.end)
            if begin < end:
                found.append(self._read_part(part, begin - part.start, end - begin))
                if len(found[-1]) < end - begin:
                    break
        return b"".join(found)

    def _read_part(self, part: LogPart, begin: int, size: int) -> bytes:
        descriptor = self._open_part(part)
        if descriptor is None:
            return b""
        try:
            data = os.pread(descriptor, size, begin)
        except OSError:
            return b""
        finally:
            os.close(descriptor)
        # A file that was removed meanwhile may have left its inode to a new one.
        return data if part.start >= first_offset(self.older_times) else b""

    def after_hole(self, start: int) -> int:
        """The offset of the first byte at or after `start` that was written.

        Of a file that was made longer without writing, nothing is there to read: it can be a
        terabyte.
        """
        part = next((part for part in self.parts if part.start <= start < part.end), None)
        descriptor = self._open_part(part) if part is not None else None
        if part is None or descriptor is None:
            return start
        try:
            return part.start + os.lseek(descriptor, start - part.start, os.SEEK_DATA)
        except OSError as error:
            return part.end if error.errno == errno.ENXIO else start
        finally:
            os.close(descriptor)

    def _open_part(self, part: LogPart) -> int | None:
        for path in (self.log, self.older):
            with contextlib.suppress(OSError, ValueError), open_regular(path) as stream:
                found = os.fstat(stream.fileno())
                if (found.st_dev, found.st_ino) == part.identity:
                    return os.dup(stream.fileno())
        return None

    def open(self) -> list[int]:
        """Descriptors of the files, the oldest first. Missing files are left out."""
        found = (self._open_part(part) for part in self.parts)
        return [descriptor for descriptor in found if descriptor is not None]


def look(directory: TaskDirectory, stream: str) -> LogFiles:
    """The files of a stream now.

    Links and everything else that is not a regular file count as missing.
    """
    for _ in range(_TRIES):
        found, settled = _look(directory, stream)
        if settled:
            break
        time.sleep(_TRY_S)  # they are being renamed
    return found


def _look(directory: TaskDirectory, stream: str) -> tuple[LogFiles, bool]:
    """The files, and whether no rename came between.

    See `logwriter` for the order of the renames.
    """
    path, older_path = directory.log(stream), directory.older_log(stream)
    older_times = directory.older_times(stream)
    older = _measured(older_path)
    dropped = first_offset(older_times) if older else 0
    turning = older is not None and not os.path.lexists(directory.times(stream))
    newest = _measured(path)
    same = _measured(older_path) == older and (
        older is None or dropped == first_offset(older_times)
    )
    parts = []
    if older is not None and not (turning and newest):  # else the times are the newest's already
        parts.append(LogPart(dropped, dropped + older[1], older[0]))
    if newest is not None:
        begin = parts[0].end if parts else dropped
        parts.append(LogPart(begin, begin + newest[1], newest[0]))
    return LogFiles(path, older_path, older_times, tuple(parts)), same and not turning


def _measured(path: Path) -> tuple[Identity, int] | None:
    """The identity and size of a file. None for anything but a regular file."""
    try:
        found = files.look(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino), found.st_size


def first_offset(times: Path) -> int:
    """The offset in the first line of a file of times, or 0 if it is unreadable."""
    with contextlib.suppress(OSError, ValueError, IndexError), open_regular(times) as stream:
        offset = int(stream.read(_LINE_BYTES).partition(b"\n")[0].split()[0])
        return offset if 0 <= offset < _FARTHEST else 0
    return 0


def lines_before(
    files: LogFiles, position: int, piece_bytes: int
) -> Iterator[tuple[int, int, bytes]]:
    """The start, end and bytes of lines before `position`, last line first."""
    begin, data, end, piece = position, b"", 0, piece_bytes
    while True:
        cut = data.rfind(b"\n", 0, max(0, end - 1))
        if cut >= 0:
            yield begin + cut + 1, begin + end, data[cut + 1 : end]
            end = cut + 1
        elif begin <= files.dropped or end > LONGEST_LINE_BYTES:
            if end:
                yield begin, begin + end, data[:end]
            if begin <= files.dropped:
                return
            end = 0
        else:
            before = max(files.dropped, begin - piece)
            data = files.read(before, begin - before) + data[:end]
            end, begin, piece = end + begin - before, before, min(2 * piece, PIECE_BYTES)
            if len(data) < end:  # it was cut short while it was read
                return


def hole_words(count: int) -> str:
    """The line that replaces a hole of `count` bytes, which nobody has written."""
    return f"[tenfold: {count:,} bytes here were never written]"


def dropped_words(count: int) -> str:
    """The line that replaces `count` bytes dropped to keep the log's limit."""
    return f"[tenfold: {count:,} bytes before this were dropped: the log is kept to its limit]"
