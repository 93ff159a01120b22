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

from tenfold.base.older import Self
from tenfold.run.progress import Progress
from tenfold.traffic.samples import SampleLog, is_number

MOST_BYTES = 512 << 10
"""The size in bytes at which the file is thinned to half."""

_LEAST_S, _MOST_S = 0.2, 2.0
_SHARE = 100
"""The part of the time since the first sample that passes between two."""

_MOST_FIGURES = 20
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class ProgressSample:
    """A line of `progress.jsonl`: one report, at `time` (seconds since 1970).

    `figures` are numbers, None if not finite.
    """

    time: float
    done: float | None = None
    total: float | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The contents of the line."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The sample in the result of `to_json`, with a valid `time`.

        Anybody can have written it: what is damaged is left out.
        """
        figures = data.get("figures")
        told = figures if isinstance(figures, dict) else {}
        some = {str(name)[:_LONGEST_NAME]: told[name] for name in list(told)[:_MOST_FIGURES]}
        steps = {name: data[name] for name in ("done", "total") if is_number(data.get(name))}
        return cls(data["time"], **steps, figures=_numbers(some))

    @classmethod
    def of(cls, said: Progress) -> Self:
        """A report as a sample."""
        moment = round(time.time() if said.time is None else said.time, 3)
        return cls(moment, said.done, said.total, _numbers(said.figures))


class ProgressLog:
    """The writer of one life of a task. It writes dense samples first, later fewer."""

    def __init__(self) -> None:
        self._log: SampleLog | None = None
        self._path: Path | None = None
        self._began = self._last = -math.inf

    def write(self, path: Path, said: Progress, now: float) -> None:
        """Append a report to the file, if enough time has passed since the last.

        `now` is monotonic. The last report of all work is always written. If the disk refuses a
        sample, only that sample is lost.
        """
        if said.done is None:
            return
        if self._log is None or path != self._path:
            self._log, self._path, self._began = SampleLog(path, MOST_BYTES), path, now
        gap = min(_MOST_S, max(_LEAST_S, (now - self._began) / _SHARE))
        is_last = said.total is not None and said.done >= said.total
        if now - self._last >= gap or is_last:
            self._last = now
            self._log.write(ProgressSample.of(said))


def _numbers(figures: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures that are numbers. A number that is not finite is None."""
    found = {name: None if value is None else number_of(value) for name, value in figures.items()}
    return {name: value for name, value in found.items() if value is not _NO_NUMBER}


_NO_NUMBER: Any = object()
_NOT_FINITE = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity"})


def number_of(value: object) -> float | None:
    """A figure as a number, None if not finite, `_NO_NUMBER` if it is a text.

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
