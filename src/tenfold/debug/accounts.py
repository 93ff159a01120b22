"""What samples show about a standstill: silent edges, and who computes.

They are read from the run directory.

Seconds are counted to each task's own newest sample, by the clock that took it: neither a host
whose clock is wrong nor one that is set makes a silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tenfold.base.naming import label_of
from tenfold.planning import edges
from tenfold.planning.plan import Plan
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.samples import (
    PeerTotal,
    SampleReader,
    TrafficSample,
    UsageSample,
    last_sample,
)

_BACK_S = 3600.0
_CPU_S = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A planned edge without traffic for `seconds`. None: it never had any.

    `cut`: what one end has sent is not acknowledged any more.
    """

    one: str
    other: str
    seconds: float | None
    cut: bool = False


def silences(run: RunDirectory, plan: Plan, tasks: Iterable[str]) -> list[Silence]:
    """How long each edge between two of `tasks` was silent.

    These are edges that surely carry traffic.
    """
    known = set(tasks)
    sure = [edge for edge in edges.planned(plan).sure if known.issuperset(edge)]
    told = {
        task: _PeerAccount(run, task) for task in sorted({end for edge in sure for end in edge})
    }
    found = []
    for one, other in sorted(sure):
        accounts = [told[one].silent_s(other), told[other].silent_s(one)]
        heard = [seconds for seconds in accounts if seconds is not None]
        cut = other in told[one].cut or one in told[other].cut
        found.append(Silence(one, other, min(heard, default=None), cut))
    return found


class _PeerAccount:
    """One task's recent reports about its peers."""

    def __init__(self, run: RunDirectory, task: str) -> None:
        directory = run.task(label_of(task))
        self._samples = SampleReader(TrafficSample, directory.traffic, keep_s=_BACK_S).read()
        self.cut = self._samples[-1].cut if self._samples else frozenset()
        usage = last_sample(UsageSample, directory.usage)
        newest = (self._samples[-1] if self._samples else None, usage)
        self._now = max((sample.time for sample in newest if sample), default=0.0)

    def silent_s(self, peer: str) -> float | None:
        """Seconds since the last byte. None if this task has never seen any."""
        last: int | None = None
        since = 0.0
        for sample in reversed(self._samples):
            now = sample.peers.get(peer, PeerTotal()).bytes
            if last is None:
                last = now
            if now != last:
                break
            since = sample.time
        return max(0.0, round(self._now - since, 1)) if last else None


def cores(run: RunDirectory, tasks: Iterable[str]) -> dict[str, float]:
    """The number of cores each task used in the last seconds, from its samples."""
    found = {}
    for task in tasks:
        read = SampleReader(UsageSample, run.task(label_of(task)).usage, keep_s=_CPU_S).read()
        used = [(sample.time, sample.cpu_s) for sample in read if sample.cpu_s is not None]
        seconds = used[-1][0] - used[0][0] if used else 0.0
        if seconds > 0:
            found[task] = (used[-1][1] - used[0][1]) / seconds
    return found
