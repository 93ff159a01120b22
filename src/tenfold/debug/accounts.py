"""What samples show about a standstill: silent edges, and who computes.

They are read from the run directory.

Seconds are counted to each task's own newest sample, by the clock that took it: neither a host
whose clock is wrong nor one that is set makes a silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tenfold.base.naming import label_of
from tenfold.planning import edges
from tenfold.planning.plan import Plan
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.samples import SampleReader, cut_peers, is_number, last_sample

_BACK_S = 3600.0
_CPU_S = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A planned edge on which no byte has flowed for `seconds`; None: none ever has.

    `cut`: what one end has sent is not acknowledged any more.
    """

    one: str
    other: str
    seconds: float | None
    cut: bool = False


def silences(run: RunDirectory, plan: Plan, tasks: Iterable[str]) -> list[Silence]:
    """How long each edge between two of `tasks` that will surely talk has been silent."""
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
        self._samples = list(SampleReader(directory.traffic, keep_s=_BACK_S).read())
        self.cut = cut_peers(self._samples[-1]) if self._samples else frozenset()
        newest = last_sample(directory.usage).get("time")
        ends = [sample["time"] for sample in self._samples[-1:]]
        self._now = max([*ends, newest] if is_number(newest) else ends, default=0.0)

    def silent_s(self, peer: str) -> float | None:
        """Seconds since a byte flowed; None if none ever has, as far as this task saw."""
        last: object = None
        since = 0.0
        for sample in reversed(self._samples):
            now = _carried(sample, peer)
            if last is None:
                last = now
            if now != last:
                break
            since = sample["time"]
        return max(0.0, round(self._now - since, 1)) if last else None


def _carried(sample: dict[str, Any], peer: str) -> int:
    """Bytes sent to a peer and received from it so far.

    0 if the sample does not contain it.
    """
    peers = sample.get("peers")
    total = peers.get(peer) if isinstance(peers, dict) else None
    counts = total[:2] if isinstance(total, list) else []
    return sum(int(count) for count in counts if is_number(count))


def cores(run: RunDirectory, tasks: Iterable[str]) -> dict[str, float]:
    """The number of cores each task used in the last seconds, from its samples."""
    found = {}
    for task in tasks:
        path = run.task(label_of(task)).usage
        samples = [s for s in SampleReader(path, keep_s=_CPU_S).read() if is_number(s.get("cpu_s"))]
        seconds = samples[-1]["time"] - samples[0]["time"] if samples else 0.0
        if seconds > 0:
            found[task] = (samples[-1]["cpu_s"] - samples[0]["cpu_s"]) / seconds
    return found
