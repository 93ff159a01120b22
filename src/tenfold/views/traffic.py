"""Which tasks communicate: the shape of `map --json`.

It is computed from the run directory alone.

Each task's samples say what it sent and received, so of a connection between two tasks there are
two accounts; the larger one counts, and each byte once. What the plan implies stands beside what
was measured.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.base.naming import job_of
from tenfold.errors import TenfoldError
from tenfold.planning import edges
from tenfold.run import files
from tenfold.run.jsonfiles import Problems
from tenfold.run.planfile import read_plan
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL
from tenfold.traffic.ledger import OUTSIDE
from tenfold.views.flows import FlowReader, Flows, PeerFlow
from tenfold.views.status import StatusReader

AS_PLANNED, SILENT, NOT_PLANNED, CUT = "as planned", "silent", "not planned", "cut"
"""Marks of an edge.

Silent: planned, and not a byte so far. Cut: what is sent is not acknowledged, for some seconds.
"""

_UNNAMED = (f"{OUTSIDE}127.0.0.1", f"{OUTSIDE}::1")
"""Peers with connections too short to find out who they were."""


@dataclass(slots=True)
class _Pair:
    """Two ends, the plan's view of them, and their edge as it was last computed."""

    one: str
    other: str
    planned: bool
    expected: bool
    here: PeerFlow | None = None
    there: PeerFlow | None = None
    edge: dict[str, Any] = field(default_factory=dict)


class MapReader:
    """Reads the map of one run repeatedly."""

    def __init__(self, run: RunDirectory, status: StatusReader | None = None) -> None:
        self._run = run
        self._status = status or StatusReader(run)
        self._readers: dict[str, FlowReader] = {}
        self._plan: tuple[object, edges.Planned, frozenset[str]] = (None, edges.Planned(), _NOBODY)
        self._pairs: dict[edges.Edge, _Pair] = {}
        self._made_for: object = None
        self._met: dict[str, int] = {}
        """How many peers of each task are in pairs already."""

    def read(self, problems: Problems | None = None) -> dict[str, Any]:
        """`{version, cluster, run, state, seconds, time, edges, groups, tasks, damaged}`.

        Edges go from the task that the plan has first, or from the task to the `outside`; `bytes`
        both ways, `bytes_to` and `bytes_from` each; null where only connections can be seen. Of the
        `planned` ones, those `expected` will surely talk, and are there from the start.
        Rates are of the last seconds; once the run is over, its mean. `last_byte`: when the last
        byte was seen to flow (seconds since 1970), null if none was. An edge of which nothing
        changed is the same object as before.
        """
        problems = problems if problems is not None else Problems()
        status = self._status.read(problems)
        now = time.time()
        over = status["state"] in TERMINAL
        last = status["ended"] or status["seen"] if over else now
        seconds = max(0.0, (last or now) - (status["started"] or last or now))
        tasks = [
            {key: task[key] for key in ("task", "job", "index", "state")}
            for task in status["tasks"]
        ]
        names = [task["task"] for task in tasks]
        flows = {name: self._reader(name).read(now, problems) for name in names}
        self._meet(names, flows, problems, own=status["protection"] == "namespace")
        found = [edge for pair in self._pairs.values() if (edge := _edge(pair, flows))]
        if over:
            found = [_settled(edge, seconds) for edge in found]
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

    def _reader(self, task: str) -> FlowReader:
        return self._readers.get(task) or self._readers.setdefault(
            task, FlowReader(self._run, task)
        )

    def _meet(
        self, names: list[str], flows: Mapping[str, Flows], problems: Problems, *, own: bool
    ) -> None:
        """Create pairs for all planned and measured edges, in the plan's order.

        `own`: the run's network is its own, so that whoever is on loopback there belongs to it.
        """
        mark, planned, on_host = self._read_plan(problems)
        if self._made_for != (mark, names, own):
            self._made_for, self._pairs, self._met = (mark, names, own), {}, {}
        order = {name: place for place, name in enumerate(names)}
        seen = set() if self._pairs else {*planned.sure}
        for task, told in flows.items():
            if self._met.get(task) != len(told):  # peers come, and none goes
                self._met[task] = len(told)
                seen.update(_in_order(task, peer, order) for peer in told)
        new = seen - self._pairs.keys()
        for pair in new:
            if pair[0] in order:
                unnamed = own and pair[1] in _UNNAMED and pair[0] not in on_host
                self._pairs[pair] = _Pair(
                    *pair, planned=unnamed or pair in planned, expected=pair in planned.sure
                )
        if new:
            places = len(order)
            ends = sorted(self._pairs, key=lambda e: (order[e[0]], order.get(e[1], places), e[1]))
            self._pairs = {end: self._pairs[end] for end in ends}

    def _read_plan(self, problems: Problems) -> tuple[object, edges.Planned, frozenset[str]]:
        """The id of the plan, what it implies, and tasks on the host's network."""
        mark = files.mark(self._run.plan)
        try:
            if self._plan[0] != mark:
                plan = read_plan(self._run.plan, problems)
                on_host = frozenset(task.name for task in plan.tasks if task.network == "host")
                self._plan = (mark, edges.planned(plan), on_host)
        except (OSError, TenfoldError, KeyError):
            return (None, edges.Planned(), _NOBODY)
        return self._plan


_NOBODY: frozenset[str] = frozenset()
_NONE = PeerFlow()


def _in_order(task: str, peer: str, order: Mapping[str, int]) -> edges.Edge:
    return (peer, task) if order.get(peer, len(order)) < order[task] else (task, peer)


def _edge(pair: _Pair, flows: Mapping[str, Flows]) -> dict[str, Any] | None:
    """A pair's edge now, or None if there is nothing to report."""
    here = flows[pair.one].get(pair.other, _NONE)
    there = flows[pair.other].get(pair.one, _NONE) if pair.other in flows else _NONE
    if here is not pair.here or there is not pair.there:
        pair.here, pair.there, pair.edge = here, there, _made(pair, here, there)
    edge = pair.edge
    if not (pair.expected or edge["bytes"] != 0 or edge["connections"]):
        return None
    return edge


def _made(pair: _Pair, here: PeerFlow, there: PeerFlow) -> dict[str, Any]:
    """The edge, from the reports of both ends."""
    to, back = _larger(here.sent, there.received), _larger(here.received, there.sent)
    total = None if to is None and back is None else (to or 0) + (back or 0)
    rate_to = max(here.sent_rate, there.received_rate)
    rate_from = max(here.received_rate, there.sent_rate)
    return {
        "from": pair.one,
        "to": pair.other,
        "bytes": total,
        "bytes_to": to,
        "bytes_from": back,
        "rate_bytes_s": round(rate_to + rate_from, 1),
        "rate_to": round(rate_to, 1),
        "rate_from": round(rate_from, 1),
        "connections": max(here.open, there.open),
        "planned": pair.planned,
        "expected": pair.expected,
        "mark": _mark(pair, total, cut=here.cut or there.cut),
        "last_byte": max(here.changed or 0.0, there.changed or 0.0) or None,
    }


def _mark(pair: _Pair, total: int | None, *, cut: bool) -> str:
    if cut:
        return CUT
    if not pair.planned:
        return NOT_PLANNED
    return SILENT if total == 0 else AS_PLANNED


def _larger(one: int | None, other: int | None) -> int | None:
    """The larger of two counts, or None if neither end counts."""
    if one is None or other is None:
        return one or other
    return max(one, other)


def _settled(edge: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """An edge of a run that is over. Its rates are the mean."""
    rates = [
        round((edge[carried] or 0) / seconds, 1) if seconds > 0 else 0.0
        for carried in ("bytes_to", "bytes_from")
    ]
    means = {"rate_to": rates[0], "rate_from": rates[1], "rate_bytes_s": round(sum(rates), 1)}
    return {**edge, **means, "connections": 0}


def groups(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Edges grouped by job.

    `{from, to, bytes, rate_bytes_s, connections, edges, silent, cut, planned, expected}`.
    Everything that is not a task is the job `outside`.
    """
    made: dict[tuple[str, str], dict[str, Any]] = {}
    for edge in found:
        pair = (_job_at(edge["from"]), _job_at(edge["to"]))
        group = made.get(pair)
        if group is None:
            group = made[pair] = {
                "from": pair[0], "to": pair[1], "bytes": None, "rate_bytes_s": 0.0,
                "connections": 0, "edges": 0, "silent": 0, "cut": 0, "planned": False,
                "expected": False,
            }  # fmt: skip
        if edge["bytes"] is not None:
            group["bytes"] = (group["bytes"] or 0) + edge["bytes"]
        group["rate_bytes_s"] += edge["rate_bytes_s"]
        group["connections"] += edge["connections"]
        group["edges"] += 1
        group["silent"] += edge["mark"] == SILENT
        group["cut"] += edge["mark"] == CUT
        group["planned"] |= edge["planned"]
        group["expected"] |= edge["expected"]
    return [group | {"rate_bytes_s": round(group["rate_bytes_s"], 1)} for group in made.values()]


@functools.lru_cache(maxsize=1 << 15)
def _job_at(end: str) -> str:
    """`worker` for `worker/3`, and `outside` for everything that is not a task."""
    return OUTSIDE.rstrip(":") if end.startswith(OUTSIDE) else job_of(end)
