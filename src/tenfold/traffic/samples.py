"""The files of samples: lines of JSON, newest last, of bounded size.

A file that has grown past its bound is thinned to half, evenly in time, and renamed into place. So
a long run keeps all of its course, the coarser the longer it is, with the newest at full rate.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeGuard

from tenfold.run import files, records
from tenfold.run.files import open_regular

MOST_BYTES = 4 << 20
_BEGIN_BYTES = 32
"""The number of first bytes that tell a file from its predecessor."""

_TAIL_BYTES = 1 << 16
_LONGEST_TAIL_BYTES = 1 << 22


class SampleLog:
    """The one writer of a task's `traffic.jsonl` or `usage.jsonl`."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes

    def write(self, sample: Mapping[str, Any]) -> None:
        """Append one sample. If the disk refuses it, only this sample is lost."""
        line = json.dumps(sample, separators=(",", ":")).encode() + b"\n"
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
    dated = [(sample["time"], line) for line in lines if (sample := sample_of(line))]
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


class SampleReader:
    """Reads the newest samples of a growing file repeatedly.

    It does not read the whole file.
    """

    def __init__(self, path: Path, keep_s: float = 10.0, tail_bytes: int = _TAIL_BYTES) -> None:
        """`tail_bytes`: how much of a long file is read at first."""
        self._path = path
        self._tail_bytes = tail_bytes
        self._keep_s = keep_s
        self._mark: object = None
        self._position = 0
        self._recent: list[dict[str, Any]] = []
        self.damaged = False

    def read(self) -> list[dict[str, Any]]:
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

    def _sample(self, line: bytes) -> dict[str, Any] | None:
        sample = sample_of(line)
        self.damaged = self.damaged or sample is None
        return sample

    def _kept(self, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not samples:
            return []
        since = samples[-1]["time"] - self._keep_s
        recent = [sample for sample in samples if sample["time"] >= since]
        return recent if len(recent) > 1 else samples[-2:]


def _tail_start(stream: IO[bytes], size: int, tail: int) -> int:
    """The start of the last lines, at least two whole ones, and of `tail` bytes or more."""
    while True:
        start = max(0, size - tail)
        stream.seek(start)
        data = stream.read(size - start)
        if start == 0 or tail >= _LONGEST_TAIL_BYTES:
            return start
        if data.count(b"\n") > 2:
            return start + data.index(b"\n") + 1
        tail *= 4


def sample_of(line: bytes) -> dict[str, Any] | None:
    """The sample in one line. None if it is damaged."""
    try:
        sample = records.parse(line)
    except ValueError:
        return None
    return sample if records.moment(sample.get("time")) else None


def cut_peers(sample: Mapping[str, Any]) -> frozenset[str]:
    """The peers that did not acknowledge the task's data, according to a sample."""
    told = sample.get("cut")
    return frozenset(told) if isinstance(told, list) and all(map(_is_name, told)) else frozenset()


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it can be a time, an amount or a duration.

    It is a number that is finite and not excessively large.
    """
    return type(value) in (int, float) and 0 <= value < 1 << 62  # type: ignore[operator]


def all_samples(path: Path) -> list[dict[str, Any]]:
    """Every sample in a file, oldest first. Empty if there is no file."""
    try:
        with open_regular(path) as stream:
            lines = stream.read(files.MOST_BYTES).splitlines()
    except OSError:
        return []
    return [sample for line in lines if (sample := sample_of(line))]


def last_sample(path: Path) -> dict[str, Any]:
    """The newest sample in a file. Empty if there is none."""
    recent = SampleReader(path).read()
    return recent[-1] if recent else {}
