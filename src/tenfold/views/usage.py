"""CPU and memory of tasks, from the samples in the run directory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tenfold.base.naming import label_of
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.traffic.samples import SampleReader, all_samples, is_number

_STALE_S = 10.0
_TAIL_BYTES = 512
"""About six samples, of which a second has one."""


class UsageReader:
    """Reads the usage of one run's tasks repeatedly."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._readers: dict[str, SampleReader] = {}

    def read(self, tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`{"worker/3": {cpu, memory, cpu_s, time}}` for `tasks` with known usage.

        `cpu` is in cores, over the last seconds, and `memory` in bytes; both are None of a task
        that was not sampled lately: it has ended, or nobody looks. `cpu_s` counts on.
        """
        now = time.time()
        found = {}
        for task in tasks:
            path = self._run.task(label_of(task)).usage
            samples = self._readers.setdefault(task, SampleReader(path, 5.0, _TAIL_BYTES)).read()
            if samples:
                found[task] = _usage(samples, now)
        return found


def _usage(samples: Sequence[Mapping[str, Any]], now: float) -> dict[str, Any]:
    newest = samples[-1]
    gap = newest["time"] - samples[-2]["time"] if len(samples) > 1 else 0.0
    fresh = now - newest["time"] <= max(_STALE_S, 2.5 * gap)
    return {
        "cpu": _cores(samples[0], newest) if fresh else None,
        "memory": _number(newest, "memory") if fresh else None,
        "cpu_s": _number(newest, "cpu_s"),
        "time": newest["time"],
    }


def _number(sample: Mapping[str, Any], name: str) -> float | None:
    value = sample.get(name)
    return value if is_number(value) else None


def _cores(since: Mapping[str, Any], now: Mapping[str, Any]) -> float | None:
    seconds = now["time"] - since["time"]
    before, after = _number(since, "cpu_s"), _number(now, "cpu_s")
    if seconds <= 0 or before is None or after is None:
        return None
    return float(round(max(0.0, after - before) / seconds, 3))


def history(directory: TaskDirectory, points: int = 300) -> dict[str, list[Any]]:
    """`{time, cpu, memory}` of a task's whole life, evenly thinned.

    Each has at most `points` entries.
    """
    samples = all_samples(directory.usage)
    step = max(1, -(-len(samples) // points))
    kept = samples[::-1][::step][::-1]
    pairs = list(itertools.pairwise(kept))
    return {
        "time": [now["time"] for _, now in pairs],
        "cpu": [_cores(since, now) for since, now in pairs],
        "memory": [_number(now, "memory") for _, now in pairs],
    }
