"""CPU and memory of tasks, from the samples in the run directory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.base.naming import label_of
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.traffic.samples import SampleReader, UsageSample, all_samples

_STALE_S = 10.0
_TAIL_BYTES = 512
"""About six samples, of which a second has one."""


@dataclass(frozen=True, slots=True)
class TaskUsage:
    """What a task uses: `cpu` in cores, over the last seconds, and `memory` in bytes.

    Both are None if it was not sampled lately: it has ended, or nobody looks. `cpu_s` counts on.
    `time` is that of the newest sample.
    """

    cpu: float | None
    memory: float | None
    cpu_s: float | None
    time: float


class UsageReader:
    """Reads the usage of one run's tasks repeatedly."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._readers: dict[str, SampleReader[UsageSample]] = {}

    def read(self, tasks: Sequence[str]) -> dict[str, TaskUsage]:
        """The usage of `tasks` by name, as far as it is known."""
        now = time.time()
        found = {}
        for task in tasks:
            path = self._run.task(label_of(task)).usage
            reader = self._readers.get(task)
            if reader is None:
                reader = SampleReader(UsageSample, path, 5.0, _TAIL_BYTES)
                self._readers[task] = reader
            if samples := reader.read():
                found[task] = _usage(samples, now)
        return found


def _usage(samples: Sequence[UsageSample], now: float) -> TaskUsage:
    newest = samples[-1]
    gap = newest.time - samples[-2].time if len(samples) > 1 else 0.0
    fresh = now - newest.time <= max(_STALE_S, 2.5 * gap)
    return TaskUsage(
        cpu=_cores(samples[0], newest) if fresh else None,
        memory=newest.memory if fresh else None,
        cpu_s=newest.cpu_s,
        time=newest.time,
    )


def _cores(since: UsageSample, now: UsageSample) -> float | None:
    seconds = now.time - since.time
    if seconds <= 0 or since.cpu_s is None or now.cpu_s is None:
        return None
    return float(round(max(0.0, now.cpu_s - since.cpu_s) / seconds, 3))


def history(directory: TaskDirectory, points: int = 300) -> dict[str, list[float | None]]:
    """`{time, cpu, memory}` of a task's whole life, evenly thinned.

    Each has at most `points` entries.
    """
    samples = all_samples(UsageSample, directory.usage)
    step = max(1, -(-len(samples) // points))
    kept = samples[::-1][::step][::-1]
    pairs = list(itertools.pairwise(kept))
    return {
        "time": [now.time for _, now in pairs],
        "cpu": [_cores(since, now) for since, now in pairs],
        "memory": [now.memory for _, now in pairs],
    }
