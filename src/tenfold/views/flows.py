"""The traffic of each task with its peers, from its newest samples.

It has bytes, rates and connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tenfold.base.naming import label_of
from tenfold.run.jsonfiles import Problems
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.samples import PeerTotal, SampleReader, TrafficSample

_RATE_S = 2.5
_STALE_S = 3.0
"""A rate covers at least `_RATE_S`. A sample older than `_STALE_S` is no traffic."""


class PeerFlow(NamedTuple):
    """One task's traffic with one peer. Bytes are None if they are not counted.

    `changed` is when a byte was last seen to flow, None if none was. `cut`: the peer does not
    acknowledge what is sent to it.
    """

    sent: int | None = 0
    received: int | None = 0
    open: int = 0
    sent_rate: float = 0.0
    received_rate: float = 0.0
    changed: float | None = None
    cut: bool = False


Flows = Mapping[str, PeerFlow]
"""The traffic of a task, by peer."""


class FlowReader:
    """One task's traffic, read repeatedly.

    The same object is returned as long as nothing changes.
    """

    def __init__(self, run: RunDirectory, task: str) -> None:
        self._path = run.task(label_of(task)).traffic
        self._samples = SampleReader(TrafficSample, self._path)
        self._mark: object = None
        self._told: dict[str, PeerFlow] = {}

    def read(self, now: float, problems: Problems) -> Flows:
        """The task's newest sample. Damage is noted in `problems`."""
        samples = self._samples.read()
        if self._samples.damaged:
            problems.add(self._path, "has a damaged line")
        if not samples:
            return {}
        newest = samples[-1]
        stale = now - newest.time > max(_STALE_S, 2.5 * _gap(samples))
        if self._mark != (newest.time, stale):
            self._mark = (newest.time, stale)
            self._told = self._flows(newest, newest if stale else _before(samples))
        return self._told

    def _flows(self, newest: TrafficSample, since: TrafficSample) -> dict[str, PeerFlow]:
        """`since` is the sample to take rates from."""
        seconds = newest.time - since.time
        made = {}
        for peer, (sent, received, now_open, _) in newest.peers.items():
            sent_rate = received_rate = 0.0
            if seconds > 0:
                then = since.peers.get(peer, _NOTHING)
                sent_rate = ((sent or 0) - (then.sent or 0)) / seconds
                received_rate = ((received or 0) - (then.received or 0)) / seconds
            last = self._told.get(peer)
            changed = newest.time if sent or received else None
            if last is not None and last[0] == sent and last[1] == received:
                changed = last.changed
            rates = max(0.0, sent_rate), max(0.0, received_rate)
            made[peer] = PeerFlow(sent, received, now_open, *rates, changed, peer in newest.cut)
        return made


_NOTHING = PeerTotal()


def _before(samples: list[TrafficSample]) -> TrafficSample:
    """The newest sample old enough to take a rate from, or the oldest."""
    newest = samples[-1].time
    old = [sample for sample in samples if newest - sample.time >= _RATE_S]
    return old[-1] if old else samples[0]


def _gap(samples: list[TrafficSample]) -> float:
    return samples[-1].time - samples[-2].time if len(samples) > 1 else 0.0
