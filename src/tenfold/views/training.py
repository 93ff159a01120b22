"""The curves of a run: scalars from the event files that TensorBoard reads.

Owns finding the files below `tensorboard/`, keeping its place in each, and thinning. Leaves to
TensorBoard what an event is: its own protobufs, checksum and tensors do the reading. Its reader
classes are not used: they import TensorFlow wherever it is installed (3 s, 250 MB), but for one
that reckons every byte's checksum in Python (4 MB a second, ten times slower than this).

TensorBoard is imported when there is a first event file to read, and TensorFlow never is.
"""

from __future__ import annotations

import importlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from tenfold.run import files
from tenfold.run.eventlog import read_events
from tenfold.run.files import open_regular
from tenfold.run.rundir import RunDirectory
from tenfold.views.curve import Point, Writers

READ_BYTES = 32 << 20
"""The maximum number of bytes of one `read`, so that it always ends soon.

`more` says whether anything is left.
"""

_EVENTS = "tfevents"
_HEADER = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
_LARGEST_RECORD_BYTES = 64 << 20
"""The maximum size of a record. Larger ones, such as pictures, are skipped.

No event with a scalar is so large.
"""
_HINT = "pip install 'tenfold[charts]'"
_CUT = "ends in the middle of an event"


class TrainingReader:
    """Reads the scalars of one run repeatedly. Each `read` reads only new data."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._home = run.shared("tensorboard")
        self._files: dict[Path, _EventFile] = {}
        self._curves: dict[str, dict[str, Writers]] = {}
        self._starts = _Starts(run.events)
        self._tools: _Tools | None = None

    def read(self) -> dict[str, Any]:
        """`{version, runs: [{name, tags}], missing, damaged, more}`.

        `tags` is `[{tag, steps, values, times}]`.

        `name` is the directory below `tensorboard/`, as TensorBoard calls it (`.` for itself).
        Steps never fall; at one step there is a point of each task that wrote to the directory at
        the same time. Of a training that was taken up again at an earlier step, what came after
        that step before is left out. A value that is no finite number is None. `missing` is what to
        install if there are files and no TensorBoard; `more`: call again, there is more to read.
        """
        paths = sorted(_event_files(self._home))
        if paths and self._tools is None:
            self._tools = _Tools.find()
        missing = _HINT if paths and self._tools is None else None
        more = self._read_on(paths, self._tools) if self._tools is not None else False
        self._starts.read()
        return {
            "version": 1,
            "runs": [
                {
                    "name": name,
                    "tags": [
                        each.shown(tag, self._starts.between) for tag, each in sorted(tags.items())
                    ],
                }
                for name, tags in sorted(self._curves.items())
                if tags
            ],
            "missing": missing,
            "damaged": self._damaged(),
            "more": more,
        }

    def _read_on(self, paths: Iterable[Path], tools: _Tools) -> bool:
        """Read new data, older files first.

        Returns whether something was left for the next time.
        """
        budget = READ_BYTES
        for path in paths:
            if budget <= 0:
                return True
            file = self._files.setdefault(path, _EventFile(path))
            curves = self._curves.setdefault(_name(path, self._home), {})
            budget -= file.read_into(curves, tools, budget)
        return budget <= 0

    def _damaged(self) -> dict[str, str]:
        ended = any(file.cut for file in self._files.values()) and not self._run.alive()
        words = {path: file.damage or (_CUT if ended else None) for path, file in self._bad()}
        return {str(path): found for path, found in words.items() if found}

    def _bad(self) -> Iterator[tuple[Path, _EventFile]]:
        return (pair for pair in self._files.items() if pair[1].damage or pair[1].cut)


_SLACK_S = 1.0
"""The maximum difference in seconds between a task's and the supervisor's clock."""


class _Starts:
    """When tasks were restarted, from the run's events."""

    def __init__(self, events: Path) -> None:
        self._events = events
        self._position = 0
        self._known = False
        self._again: list[float] = []

    def read(self) -> None:
        """Read new data."""
        found, self._position = read_events(self._events, start=self._position)
        for event in found:
            if event.kind == "task-started":
                self._known = True
                if event.number("restarts") and event.time is not None:
                    self._again.append(event.time)

    def between(self, begin: float, end: float) -> bool:
        """Whether a task was restarted in this time.

        True for a run whose starts are not known.
        """
        first, last = begin - _SLACK_S, end + _SLACK_S
        return not self._known or any(first <= time <= last for time in self._again)


def _event_files(home: Path) -> Iterator[Path]:
    """The files that TensorBoard would read, without links and pipes.

    Links may lead out of the run.
    """
    if home.name not in files.directories(home.parent):
        return
    for directory, _, names in os.walk(home):
        for name in names:
            if _EVENTS in name:
                path = Path(directory, name)
                if files.exists(path):
                    yield path


def _name(path: Path, home: Path) -> str:
    name = os.fsencode(path.parent.relative_to(home).as_posix())
    return name.decode(errors="replace")


class _Tools:
    """TensorBoard's functions for events."""

    def __init__(self) -> None:
        self.event: Any = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
        self.array: Any = importlib.import_module("tensorboard.util.tensor_util").make_ndarray
        stub = importlib.import_module("tensorboard.compat.tensorflow_stub.pywrap_tensorflow")
        self.checksum: Any = stub.masked_crc32c
        self._no_event: Any = importlib.import_module("google.protobuf.message").DecodeError

    @classmethod
    def find(cls) -> _Tools | None:
        """The functions, or None if TensorBoard is not installed."""
        try:
            return cls()
        except ImportError:
            return None

    def scalars(self, data: bytes, kinds: dict[str, str]) -> Iterator[tuple[str, Point]]:
        """The tags and points in one event.

        `kinds` is what is known of each tag's plugin.

        Raises ValueError for what is no event.
        """
        try:
            event = self.event.FromString(data)
        except self._no_event as error:
            raise ValueError("no event") from error
        for value in event.summary.value:
            kind = kinds.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            number = self._number(value, kind)
            if number is not None:
                yield value.tag, (event.step, number, event.wall_time)

    def _number(self, value: Any, kind: str) -> float | None:
        """The value of a scalar, as TensorFlow 1 or 2 writes it.

        None for other types (a histogram, text).
        """
        which = value.WhichOneof("value")
        if which == "simple_value":
            return float(value.simple_value)
        if which != "tensor" or kind not in ("scalars", "") or value.tensor.tensor_shape.dim:
            return None
        try:
            return float(self.array(value.tensor).item())
        except (TypeError, ValueError):  # a text, an empty tensor
            return None


class _EventFile:
    """One file of records, read forward.

    A record is its length, the length's checksum, its data, and the data's checksum.

    `damage` says in words why it cannot be read on; `cut`: it ends in the middle of a record,
    which of one that is being written is no damage.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode = 0
        self._position = 0
        self._kinds: dict[str, str] = {}
        self.damage: str | None = None
        self.cut = False

    def read_into(self, curves: dict[str, Writers], tools: _Tools, budget: int) -> int:
        """Read new whole records, about `budget` bytes. Returns the bytes read."""
        try:
            with open_regular(self._path) as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino != self._inode or found.st_size < self._position:
                    self._inode, self._position = found.st_ino, 0  # another one in its place
                    self._kinds.clear()
                start = self._position
                if found.st_size > start:
                    self._read_records(stream, found.st_size, start + budget, curves, tools)
                return self._position - start
        except OSError as error:
            self.damage = f"cannot be read: {error.strerror or error}"
            return 0

    def _read_records(
        self, stream: IO[bytes], size: int, until: int, curves: dict[str, Writers], tools: _Tools
    ) -> None:
        self.damage, self.cut = None, False
        stream.seek(self._position)
        while self._position < min(size, until):
            data = self._record(stream, size, tools)
            if data is None:
                return
            try:
                for tag, point in tools.scalars(data, self._kinds):
                    curves.setdefault(tag, Writers()).of(self._path.name).add(point)
            except ValueError:
                self.damage = f"has a damaged event before byte {self._position}"

    def _record(self, stream: IO[bytes], size: int, tools: _Tools) -> bytes | None:
        """The next record.

        None at the end, and if the rest of the file cannot be read.
        """
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size:
            self.cut = True
            return None
        length, checksum = _HEADER.unpack(header)
        if tools.checksum(header[:8]) != checksum:
            self.damage = f"is damaged from byte {self._position} on"
            return None
        end = self._position + _HEADER.size + length + _CHECKSUM_BYTES
        if end > size:
            self.cut = True
            return None
        data = stream.read(length) if length <= _LARGEST_RECORD_BYTES else b""
        stream.seek(end)
        self._position = end
        return data
