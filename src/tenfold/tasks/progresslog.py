"""`progress.jsonl` of a task: what it reported with `tenfold.progress`, over time.

`progress.json` holds the last report. The page draws curves of the figures in this file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.traffic.samples import SampleLog, is_number

MOST_BYTES = 512 << 10
"""The size in bytes at which the file is thinned to half."""

_LEAST_S, _MOST_S = 0.2, 2.0
_SHARE = 100
"""The time between two samples is this part of the time since the first, within the limits."""

_MOST_FIGURES = 20
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class ProgressSample:
    """One report. `time` is in seconds since 1970, `figures` are numbers; None if not finite."""

    time: float
    done: float
    total: float
    figures: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A line of the file."""
        return {
            "time": round(self.time, 3),
            "done": self.done,
            "total": self.total,
            "figures": dict(self.figures),
        }


class ProgressLog:
    """The writer of one life of a task. It writes dense samples first, later fewer."""

    def __init__(self) -> None:
        self._log: SampleLog | None = None
        self._path: Path | None = None
        self._began = self._last = -math.inf

    def write(self, path: Path, said: Mapping[str, Any], now: float) -> None:
        """Append a report to the file at `path`, if enough time has passed since the last one.

        `said` has the shape of `progress.json`, `now` is monotonic. The last report of all work
        is always written. If the disk refuses a sample, only that sample is lost.
        """
        if self._log is None or path != self._path:
            self._log, self._path, self._began = SampleLog(path, MOST_BYTES), path, now
        gap = min(_MOST_S, max(_LEAST_S, (now - self._began) / _SHARE))
        sample = _sample(said)
        if sample is not None and (now - self._last >= gap or sample.done >= sample.total):
            self._last = now
            self._log.write(sample.to_json())


def _sample(said: Mapping[str, Any]) -> ProgressSample | None:
    """A report as a sample. None if done or total is not a number."""
    done, total = said["done"], said["total"]
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)):
        return None
    numbers = {name: number_of(value) for name, value in said["figures"].items()}
    figures = {name: value for name, value in numbers.items() if value is not _NO_NUMBER}
    return ProgressSample(said.get("time") or time.time(), done, total, figures)


_NO_NUMBER: Any = object()
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity"})


def number_of(value: object) -> float | None:
    """A figure as a number. None if it is not finite, and `_NO_NUMBER` if it is a text.

    Progress files write a number that is not finite as its name.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and value.strip().lower() in _NOT_FINITE:
        return None
    found: float | None = _NO_NUMBER
    return found


def progress_sample(line: Mapping[str, Any]) -> ProgressSample | None:
    """The sample in a line of the file, or None if its values make no sense.

    A task can write anything into the file.
    """
    done, total, figures = line.get("done"), line.get("total"), line.get("figures")
    if not (is_number(done) and is_number(total) and is_number(line.get("time"))):
        return None
    told = figures if isinstance(figures, dict) else {}
    numbers = {
        str(name)[:_LONGEST_NAME]: None if value is None else number_of(value)
        for name, value in list(told.items())[:_MOST_FIGURES]
    }
    known = {name: value for name, value in numbers.items() if value is not _NO_NUMBER}
    return ProgressSample(line["time"], done, total, known)
