"""Who talks to whom: the shape of `map --json`, from the run directory alone.

Each task's samples say what it sent and received, so of a connection between two tasks there are
two accounts; the larger one counts, and each byte once. What the plan implies stands beside what
was measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tenfold import edges
from tenfold.errors import TenfoldError
from tenfold.plans import Plan
from tenfold.rundir import OVER, Problems, RunDirectory, read_json
from tenfold.traffic.ledger import OUTSIDE
from tenfold.traffic.samples import SampleReader
from tenfold.views.status import StatusReader

AS_PLANNED, SILENT, NOT_PLANNED = "as planned", "silent", "not planned"
"""Marks of an edge; silent: planned, and not a byte so far."""

_RATE_S = 2.5
_STALE_S = 3.0
"""A rate is taken over at least the one; a newest sample older than the other means no traffic."""


@dataclass(slots=True)
class _Flow:
    """What one task told of one peer; bytes None if they are not counted."""

    sent: int | None = None
    received: int | None = None
    open: int = 0
    sent_rate: float = 0.0
    received_rate: float = 0.0
    changed: float | None = None
    """When a byte last flowed, as far as that is known."""


class MapReader:
    """The map of one run, again and again."""

    def __init__(self, run: RunDirectory, status: StatusReader | None = None) -> None:
        self._run = run
        self._status = status or StatusReader(run)
        self._readers: dict[str, SampleReader] = {}
        self._changed: dict[tuple[str, str], tuple[int, float]] = {}
        self._planned: tuple[object, edges.Planned] = (None, edges.Planned())

    def read(self, problems: Problems | None = None) -> dict[str, Any]:
        """`{version, cluster, run, state, seconds, time, edges, groups, tasks, damaged}`.

        Edges go from the task that the plan has first, or from the task to the `outside`; `bytes`
        both ways, `bytes_to` and `bytes_from` each; null where only connections can be seen. Of the
        `planned` ones, those `expected` will surely talk, and are there from the start.
        Rates are of the last seconds; once the run is over, its mean. `quiet_s`: how long ago the
        last byte was seen, null if none was.
        """
        problems = problems if problems is not None else Problems()
        status = self._status.read(problems)
        now = time.time()
        over = status["state"] in OVER
        last = status["ended"] or status["seen"] if over else now
        seconds = max(0.0, (last or now) - (status["started"] or last or now))
        tasks = [
            {key: task[key] for key in ("task", "job", "index", "state")}
            for task in status["tasks"]
        ]
        order = {task["task"]: place for place, task in enumerate(tasks)}
        flows = {name: self._flows(name, now, problems) for name in order}
        planned = self._plan_edges(problems)
        found = _edges(order, flows, planned, now, own=status["protection"] == "namespace")
        if over:
            for edge in found:
                _settle(edge, seconds)
        return {
            "version": 1,
            "cluster": status["cluster"],
            "run": status["run"],
            "state": status["state"],
            "seconds": round(seconds, 3),
            "time": round(now, 3),
            "edges": found,
            "groups": groups(found),
            "tasks": tasks,
            "damaged": {str(path): what for path, what in problems.found.items()},
        }

    def _plan_edges(self, problems: Problems) -> edges.Planned:
        try:
            found = self._run.plan.stat()
            mark = (found.st_ino, found.st_mtime_ns)
            if self._planned[0] != mark:
                plan = Plan.from_json(read_json(self._run.plan, problems) or {})
                self._planned = (mark, edges.planned(plan))
        except (OSError, TenfoldError, KeyError):
            return edges.Planned()
        return self._planned[1]

    def _flows(self, task: str, now: float, problems: Problems) -> dict[str, _Flow]:
        """What `task` tells of each of its peers."""
        path = self._run.task(task.replace("/", "-")).traffic
        reader = self._readers.setdefault(task, SampleReader(path))
        samples = reader.read()
        if reader.damaged:
            problems.add(path, "has a damaged line")
        if not samples:
            return {}
        newest = samples[-1]
        flows = {peer: _flow(total) for peer, total in _peers(newest).items()}
        since = _before(samples)
        stale = now - newest["time"] > max(_STALE_S, 2.5 * _gap(samples))
        seconds = newest["time"] - since["time"]
        former = _peers(since)
        for peer, flow in flows.items():
            if not stale and seconds > 0:
                then = _flow(former.get(peer, [0, 0, 0, 0]))
                flow.sent_rate = _rate(flow.sent, then.sent, seconds)
                flow.received_rate = _rate(flow.received, then.received, seconds)
            flow.changed = self._last_byte(task, peer, flow, newest["time"])
        return flows

    def _last_byte(self, task: str, peer: str, flow: _Flow, moment: float) -> float | None:
        carried = (flow.sent or 0) + (flow.received or 0)
        if not carried:
            return None
        known = self._changed.get((task, peer))
        if known is None or known[0] != carried:
            known = self._changed[task, peer] = (carried, moment)
        return known[1]


def _peers(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    peers = sample.get("peers")
    return peers if isinstance(peers, dict) else {}


def _flow(total: object) -> _Flow:
    """A peer's totals as the sample has them; nothing if they are damaged."""
    if not isinstance(total, list) or len(total) != 4:
        return _Flow()
    sent, received, now_open, _ = (n if isinstance(n, int) else None for n in total)
    return _Flow(sent, received, now_open or 0)


def _before(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The newest sample that is old enough to take a rate from, or the oldest."""
    newest = samples[-1]["time"]
    old = [sample for sample in samples if newest - sample["time"] >= _RATE_S]
    return old[-1] if old else samples[0]


def _gap(samples: list[dict[str, Any]]) -> float:
    return float(samples[-1]["time"] - samples[-2]["time"]) if len(samples) > 1 else 0.0


def _rate(now: int | None, then: int | None, seconds: float) -> float:
    return max(0.0, ((now or 0) - (then or 0)) / seconds)


def _edges(
    order: Mapping[str, int],
    flows: Mapping[str, Mapping[str, _Flow]],
    planned: edges.Planned,
    now: float,
    *,
    own: bool,
) -> list[dict[str, Any]]:
    """`own`: the run's network is its own, so that whoever is on loopback there belongs to it."""
    pairs = {_in_order(task, peer, order) for task, told in flows.items() for peer in told}
    pairs |= planned.sure
    made = [
        _edge(pair, flows, now, planned=pair in planned or (own and pair[1] in _UNNAMED))
        for pair in pairs
        if pair[0] in order
    ]
    for edge in made:
        edge["expected"] = (edge["from"], edge["to"]) in planned.sure
    places = len(order)
    made.sort(key=lambda e: (order[e["from"]], order.get(e["to"], places), e["to"]))
    return [edge for edge in made if edge["expected"] or edge["bytes"] != 0 or edge["connections"]]


def _in_order(task: str, peer: str, order: Mapping[str, int]) -> edges.Edge:
    return (peer, task) if peer in order and order[peer] < order[task] else (task, peer)


_NONE = _Flow(0, 0)
_UNNAMED = (f"{OUTSIDE}127.0.0.1", f"{OUTSIDE}::1")
"""Whoever opened connections so short that it was gone before it could be named."""


def _edge(
    pair: edges.Edge,
    flows: Mapping[str, Mapping[str, _Flow]],
    now: float,
    *,
    planned: bool,
) -> dict[str, Any]:
    one, other = pair
    here = flows.get(one, {}).get(other, _NONE)
    there = flows.get(other, {}).get(one, _NONE)
    to, back = _larger(here.sent, there.received), _larger(here.received, there.sent)
    total = None if to is None and back is None else (to or 0) + (back or 0)
    changed = max(here.changed or 0.0, there.changed or 0.0)
    rate_to = max(here.sent_rate, there.received_rate)
    rate_from = max(here.received_rate, there.sent_rate)
    return {
        "from": one,
        "to": other,
        "bytes": total,
        "bytes_to": to,
        "bytes_from": back,
        "rate_bytes_s": round(rate_to + rate_from, 1),
        "rate_to": round(rate_to, 1),
        "rate_from": round(rate_from, 1),
        "connections": max(here.open, there.open),
        "planned": planned,
        "mark": NOT_PLANNED if not planned else SILENT if total == 0 else AS_PLANNED,
        "quiet_s": round(max(0.0, now - changed), 1) if changed else None,
    }


def _larger(one: int | None, other: int | None) -> int | None:
    """The fuller of two accounts; None if neither side counts."""
    if one is None or other is None:
        return one or other
    return max(one, other)


def _settle(edge: dict[str, Any], seconds: float) -> None:
    """Rates of a run that is over: its mean."""
    for rate, carried in (("rate_to", "bytes_to"), ("rate_from", "bytes_from")):
        edge[rate] = round((edge[carried] or 0) / seconds, 1) if seconds > 0 else 0.0
    edge["rate_bytes_s"] = round(edge["rate_to"] + edge["rate_from"], 1)
    edge["connections"] = 0


def groups(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Edges put together by job: `{from, to, bytes, rate_bytes_s, connections, edges, silent,
    planned, expected}`; whatever is no task is the job `outside`."""
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for edge in found:
        pair = (job_of(edge["from"]), job_of(edge["to"]))
        group = made.setdefault(pair, {
            "from": pair[0], "to": pair[1], "bytes": None, "rate_bytes_s": 0.0,
            "connections": 0, "edges": 0, "silent": 0, "planned": False, "expected": False,
        })  # fmt: skip
        if edge["bytes"] is not None:
            group["bytes"] = (group["bytes"] or 0) + edge["bytes"]
        group["rate_bytes_s"] = round(group["rate_bytes_s"] + edge["rate_bytes_s"], 1)
        group["connections"] += edge["connections"]
        group["edges"] += 1
        group["silent"] += edge["mark"] == SILENT
        for claim in ("planned", "expected"):
            group[claim] = group[claim] or edge[claim]
    return list(made.values())


def job_of(end: str) -> str:
    """`worker` for `worker/3`, `outside` for what is no task."""
    return OUTSIDE.rstrip(":") if end.startswith(OUTSIDE) else end.rpartition("/")[0]
