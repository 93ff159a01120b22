"""The files of samples: lines of JSON, newest last, of bounded size.

A file that has grown past its bound is thinned to half, evenly in time, and renamed into place. So
a long run keeps all of its course, the coarser the longer it is, with the newest at full rate.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, Protocol, TypeGuard, TypeVar

from tenfold.base.older import Self
from tenfold.run import files, records
from tenfold.run.files import open_regular

MOST_BYTES = 4 << 20
_BEGIN_BYTES = 32
"""The number of first bytes that tell a file from its predecessor."""

_TAIL_BYTES = 1 << 16
_LONGEST_TAIL_BYTES = 1 << 22


class PeerTotal(NamedTuple):
    """What a task has exchanged with one peer so far, all lives of both.

    Bytes are None if they are not counted. `open` is the number of connections now, and `opened`
    of all so far.
    """

    sent: int | None = 0
    received: int | None = 0
    open: int = 0
    opened: int = 0

    @property
    def bytes(self) -> int:
        """Bytes both ways, as far as they are counted."""
        return (self.sent or 0) + (self.received or 0)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The total in a sample. What is damaged is not counted."""
        if not isinstance(data, list) or len(data) != 4:
            return cls(None, None)
        sent, received, now_open, opened = (n if records.count(n) else None for n in data)
        return cls(sent, received, now_open or 0, opened or 0)


@dataclass(frozen=True, slots=True)
class TrafficSample:
    """A line of `traffic.jsonl`: the totals of a task by peer at one time.

    `time`: seconds since 1970. `cut`: the peers that do not acknowledge the data of the task.
    """

    time: float
    peers: Mapping[str, PeerTotal] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """The contents of the line. `cut` is there if it is not empty."""
        cut = {"cut": sorted(self.cut)} if self.cut else {}
        return {"time": self.time, "peers": self.peers, **cut}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The sample in the result of `to_json`, with a valid `time`.

        Anybody can have written it: what is damaged is left out.
        """
        peers, cut = data.get("peers"), data.get("cut")
        told = peers if isinstance(peers, dict) else {}
        totals = {peer: PeerTotal.from_json(total) for peer, total in told.items()}
        names = (peer for peer in (cut if isinstance(cut, list) else ()) if isinstance(peer, str))
        return cls(data["time"], totals, frozenset(names))


@dataclass(frozen=True, slots=True)
class UsageSample:
    """A line of `usage.jsonl`: what a task uses at `time` (seconds since 1970).

    `cpu_s` are seconds of all its lives, `memory` is in bytes.
    """

    time: float
    cpu_s: float | None = None
    memory: float | None = None
    processes: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The contents of the line."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The sample in the result of `to_json`, with a valid `time`."""
        names = ("cpu_s", "memory", "processes")
        return cls(data["time"], **{n: data[n] for n in names if is_number(data.get(n))})


class Sample(Protocol):
    """One line of a file of samples."""

    @property
    def time(self) -> float:
        """When it was taken, in seconds since 1970."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """The contents of the line."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The sample in the result of `to_json`, with a valid `time`."""
        raise NotImplementedError


_Sample = TypeVar("_Sample", bound=Sample)


class SampleLog:
    """The one writer of a task's `traffic.jsonl` or `usage.jsonl`."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes

    def write(self, sample: Sample) -> None:
        """Append one sample. If the disk refuses it, only this sample is lost."""
        line = json.dumps(sample.to_json(), separators=(",", ":")).encode() + b"\n"
        with contextlib.suppress(OSError):
            descriptor, _ = files.open_own(self._path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, line)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size > self._most_bytes:
                self._thin()

    def _thin(self) -> None:
        newest = files.read_end(self._path, 2 * self._most_bytes)  # more only if others write, too
        files.write_whole(self._path, b"".join(_thinned(newest.splitlines(keepends=True))))


def _thinned(lines: list[bytes]) -> list[bytes]:
    """About half of the lines, from all of the time they span.

    The first and the last line are kept.
    """
    dated = [(sample["time"], line) for line in lines if (sample := _parsed(line))]
    if len(dated) < 3:
        return [line for _, line in dated]
    first, last = dated[0][0], dated[-1][0]
    step = max((last - first) / (len(dated) // 2), 1e-9)
    kept, taken = [], -1
    for moment, line in dated[:-1]:
        place = int((moment - first) / step)
        if place > taken:
            kept.append(line)
            taken = place
    return [*kept, dated[-1][1]]


class SampleReader(Generic[_Sample]):
    """Reads the newest samples of a growing file repeatedly.

    It does not read the whole file.
    """

    def __init__(
        self,
        kind: type[_Sample],
        path: Path,
        keep_s: float = 10.0,
        tail_bytes: int = _TAIL_BYTES,
    ) -> None:
        """`tail_bytes`: how much of a long file is read at first."""
        self._kind = kind
        self._path = path
        self._tail_bytes = tail_bytes
        self._keep_s = keep_s
        self._mark: object = None
        self._position = 0
        self._recent: list[_Sample] = []
        self.damaged = False

    def read(self) -> list[_Sample]:
        """Samples of the last seconds, oldest first.

        They are at least the newest two, if there are so many.
        """
        try:
            with open_regular(self._path) as stream:
                self._take(stream)
        except OSError:
            return self._recent
        return self._recent

    def _take(self, stream: IO[bytes]) -> None:
        found = os.fstat(stream.fileno())
        mark = (found.st_ino, os.pread(stream.fileno(), _BEGIN_BYTES, 0))  # inodes come again
        if mark != self._mark or found.st_size < self._position:
            self._mark, self._position, self._recent = mark, 0, []
        if found.st_size == self._position:
            return
        if found.st_size - self._position > self._tail_bytes:
            self._position = _tail_start(stream, found.st_size, self._tail_bytes)
        stream.seek(self._position)
        data = stream.read(_LONGEST_TAIL_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        fresh = [sample for line in whole.splitlines() if (sample := self._sample(line))]
        self._recent = self._kept([*self._recent, *fresh])

    def _sample(self, line: bytes) -> _Sample | None:
        sample = sample_of(self._kind, line)
        self.damaged = self.damaged or sample is None
        return sample

    def _kept(self, samples: list[_Sample]) -> list[_Sample]:
        if not samples:
            return []
        since = samples[-1].time - self._keep_s
        recent = [sample for sample in samples if sample.time >= since]
        return recent if len(recent) > 1 else samples[-2:]


def _tail_start(stream: IO[bytes], size: int, tail: int) -> int:
    """The start of the last lines: at least two, and `tail` bytes."""
    while True:
        start = max(0, size - tail)
        stream.seek(start)
        data = stream.read(size - start)
        if start == 0 or tail >= _LONGEST_TAIL_BYTES:
            return start
        if data.count(b"\n") > 2:
            return start + data.index(b"\n") + 1
        tail *= 4


def sample_of(kind: type[_Sample], line: bytes) -> _Sample | None:
    """The sample in one line. None if it is damaged."""
    data = _parsed(line)
    return None if data is None else kind.from_json(data)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        sample = records.parse(line)
    except ValueError:
        return None
    return sample if records.moment(sample.get("time")) else None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it can be a time, an amount or a duration.

    It is a number that is finite and not excessively large.
    """
    return type(value) in (int, float) and 0 <= value < 1 << 62  # type: ignore[operator]


def all_samples(kind: type[_Sample], path: Path) -> list[_Sample]:
    """Every sample in a file, oldest first. Empty if there is no file."""
    try:
        with open_regular(path) as stream:
            lines = stream.read(files.MOST_BYTES).splitlines()
    except OSError:
        return []
    return [sample for line in lines if (sample := sample_of(kind, line))]


def last_sample(kind: type[_Sample], path: Path) -> _Sample | None:
    """The newest sample in a file, or None."""
    recent = SampleReader(kind, path).read()
    return recent[-1] if recent else None
