"""Find scalars in event files that are not finite.

Owns reading just enough of what TensorBoard reads: the records of an event file, and in them the
tag, step and value of scalars. The supervisor does it, so it imports neither TensorBoard nor a
protobuf library; `tenfold.views.training` draws the curves with TensorBoard's own code.

Sources: the record format is TensorFlow's `tfrecord` (length, checksum, data, checksum); the field
numbers are those of `event.proto`, `summary.proto`, `tensor.proto` and `tensor_shape.proto`; the
encoding is https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tenfold.run import files

_HEADER = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
_LARGEST_BYTES = 1 << 16
"""The maximum size in bytes of a record that is read. Larger ones are skipped.

Larger records hold pictures or graphs. A scalar needs 100 bytes.
"""

_BUDGET_BYTES = 1 << 20
"""The maximum number of bytes of one look.

A scalar a millisecond is a tenth of it.
"""

_MOST_FILES, _MOST_ENTRIES, _MOST_TAGS = 1_000, 10_000, 1_000

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOATS = {1: "<f", 2: "<d", 14: "bfloat16", 19: "<e"}
"""How `struct` reads DT_FLOAT, DT_DOUBLE, DT_BFLOAT16 and DT_HALF of types.proto."""

Scalar = tuple[str, int, float]
"""Tag, step, value."""


@dataclass(frozen=True, slots=True)
class OddScalar:
    """A scalar that is or was not finite.

    `directory` is where its event file lies, relative to the run directory. `since` is the first
    step at which the value was not finite, `until` the step at which it was finite again or None.
    """

    directory: str
    tag: str
    value: str
    since: int
    until: int | None


@dataclass(slots=True)
class _ScalarFile:
    """An event file, how far it was read, and its scalars that are not finite.

    Also scalars that were not finite.
    """

    path: Path
    directory: str
    begun: int
    grown: int = 0
    inode: int = 0
    position: int = 0
    odd: dict[str, OddScalar] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)


class ScalarWatch:
    """Checks the event files below a run directory repeatedly."""

    def __init__(self, run: Path, home: Path) -> None:
        """`home` is the directory of the event files in the run directory `run`."""
        self._run, self._home = run, home
        self._files: dict[Path, _ScalarFile] = {}
        self._looks = 0

    def look(self) -> list[OddScalar]:
        """All scalars that are or were not finite, one for each directory and tag.

        Reads at most a mebibyte that is new; never raises for what the files hold.
        """
        self._looks += 1
        budget = _BUDGET_BYTES
        for path in self._event_files():
            file = self._files.get(path)
            if file is None:
                if len(self._files) >= _MOST_FILES:
                    continue
                where = path.parent.relative_to(self._run).as_posix()
                name = os.fsencode(where).decode(errors="replace")
                file = self._files[path] = _ScalarFile(path, name, begun=self._looks)
            budget -= self._read_on(file, budget)
            if budget <= 0:
                break
        return self._found()

    def _event_files(self) -> list[Path]:
        if self._home.name not in files.directories(self._home.parent):
            return []
        found: list[Path] = []
        entries = 0
        for directory, _, names in os.walk(self._home):
            entries += len(names)
            found += [Path(directory, name) for name in names if "tfevents" in name]
            if entries > _MOST_ENTRIES:
                break
        return sorted(found)

    def _read_on(self, file: _ScalarFile, budget: int) -> int:
        """Read new whole records. Returns the number of bytes read."""
        try:
            mark = file.path.lstat()
            if (mark.st_ino, mark.st_size) == (file.inode, file.position):
                return 0
            with files.open_regular(file.path) as stream:
                status = os.fstat(stream.fileno())
                if status.st_ino != file.inode or status.st_size < file.position:
                    file.inode, file.position = status.st_ino, 0
                    file.odd.clear()
                return self._read_records(file, stream, status.st_size, budget)
        except (OSError, ValueError):
            return 0

    def _read_records(self, file: _ScalarFile, stream: IO[bytes], size: int, budget: int) -> int:
        stream.seek(file.position)
        used = 0
        while used < budget:
            header = stream.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return used
            length, _ = _HEADER.unpack(header)
            end = file.position + _HEADER.size + length + _CHECKSUM_BYTES
            if end > size:  # it is still being written, or damaged
                return used
            if length <= _LARGEST_BYTES:
                self._take(file, stream.read(length))
                used += length
            used += _HEADER.size
            stream.seek(end)
            file.position, file.grown = end, self._looks
        return used

    @staticmethod
    def _take(file: _ScalarFile, event: bytes) -> None:
        try:
            found = list(scalars(event))
        except (ValueError, IndexError, struct.error):
            return
        for tag, step, value in found:
            known = file.odd.get(tag)
            if len(file.tags) < _MOST_TAGS:
                file.tags.add(tag)
            if math.isfinite(value):
                if known is not None and known.until is None:
                    file.odd[tag] = OddScalar(known.directory, tag, known.value, known.since, step)
            elif (known is None or known.until is not None) and len(file.odd) < _MOST_TAGS:
                file.odd[tag] = OddScalar(file.directory, tag, str(value), step, None)

    def _found(self) -> list[OddScalar]:
        merged: dict[tuple[str, str], OddScalar] = {}
        for file in self._files.values():
            for tag, odd in file.odd.items():
                if self._is_superseded(file, tag):
                    continue
                before = merged.get((file.directory, tag))
                if before is None or (odd.until is not None, odd.since) < (
                    before.until is not None,
                    before.since,
                ):
                    merged[file.directory, tag] = odd
        return list(merged.values())

    def _is_superseded(self, file: _ScalarFile, tag: str) -> bool:
        """Whether a later writer has written the tag since.

        It is a task that was restarted.
        """
        return any(
            other.directory == file.directory and other.begun > file.grown and tag in other.tags
            for other in self._files.values()
        )


def scalars(event: bytes) -> Iterator[Scalar]:
    """The scalars in one serialized `Event`.

    Raises ValueError, IndexError or struct.error.
    """
    step, summaries = 0, []
    for number, value in _fields(event):
        if number == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    for summary in summaries:
        for number, value in _fields(summary):
            if number == 1 and isinstance(value, bytes) and (found := _scalar(value)):
                yield found[0], step, found[1]


def _scalar(data: bytes) -> tuple[str, float] | None:
    """Tag and number of a `Summary.Value`, or None if it is not a number."""
    tag, number = "", None
    for field_number, value in _fields(data):
        if field_number == 1 and isinstance(value, bytes):
            tag = value.decode(errors="replace")
        elif field_number == 2 and isinstance(value, bytes):
            (number,) = struct.unpack("<f", value)
        elif field_number == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return (tag, number) if number is not None else None


def _tensor(data: bytes) -> float | None:
    """The number in a `TensorProto` without dimensions, or None."""
    layout, content, dimensions = "", b"", False
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            layout = _FLOATS.get(value, "")
        elif number == 2 and isinstance(value, bytes):
            dimensions = any(inner == 2 for inner, _ in _fields(value))
        elif number in (4, 5, 6) and isinstance(value, bytes):  # bytes, floats, doubles
            content = value
        elif number == 13:  # halves, each a varint of 16 bits
            bits = value if isinstance(value, int) else _varint(value, 0)[0]
            content = struct.pack("<H", bits & 0xFFFF)
    if dimensions or not layout or not content:
        return None
    if layout == "bfloat16":  # the upper half of a float
        layout, content = "<f", b"\0\0" + content
    (found,) = struct.unpack(layout, content)
    return float(found)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message.

    Numbers of fixed size are returned as their bytes.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            whole, at = _varint(data, at)
            yield key >> 3, whole
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            length, at = _varint(data, at)
        if length is None or at + length > len(data):
            raise ValueError("no protobuf message")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises IndexError or ValueError."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no protobuf number")
