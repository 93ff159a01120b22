"""Which tasks communicate, from the run directory alone: what `map` shows.

Each task's samples say what it sent and received, so of a connection between two tasks there are
two accounts; the larger one counts, and each byte once. What the plan implies stands beside what
was measured.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tenfold.base.naming import job_of
from tenfold.errors import TenfoldError
from tenfold.planning import edges
from tenfold.planning.edges import Edge
from tenfold.run import files
from tenfold.run.jsonfiles import Problems
from tenfold.run.planfile import read_plan
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL
from tenfold.traffic.ledger import OUTSIDE
from tenfold.views.flows import FlowReader, Flows, PeerFlow
from tenfold.views.status import StatusReader, TaskView

AS_PLANNED, SILENT, NOT_PLANNED, CUT = "as planned", "silent", "not planned", "cut"
"""Marks of an edge.

Silent: planned, and not a byte so far. Cut: what is sent is not acknowledged, for some seconds.
"""

_UNNAMED = (f"{OUTSIDE}127.0.0.1", f"{OUTSIDE}::1")
"""Peers with connections too short to find out who they were."""


@dataclass(frozen=True, slots=True)
class MapEdge:
    """Two ends that communicate, or are expected to.

    Attributes:
        source: the end that the plan has first, or the task if the other end is outside.
        bytes: both ways, `bytes_to` and `bytes_from` each; None where only connections can be seen.
        rate_bytes_s: of the last seconds. Once the run is over, its mean. Also each way.
        planned: whether the plan implies it. `expected`: whether it will surely carry something.
        last_byte: when the last byte was seen to flow (seconds since 1970), None if none was.
    """

    source: str
    target: str
    bytes: int | None = None
    bytes_to: int | None = None
    bytes_from: int | None = None
    rate_bytes_s: float = 0.0
    rate_to: float = 0.0
    rate_from: float = 0.0
    connections: int = 0
    planned: bool = False
    expected: bool = False
    mark: str = AS_PLANNED
    last_byte: float | None = None

    @property
    def ends(self) -> Edge:
        """Both ends."""
        return self.source, self.target

    def to_json(self) -> dict[str, Any]:
        """The shape of one of `edges` in `map --json`."""
        return _with_ends(self)


@dataclass(slots=True)
class MapGroup:
    """The edges between two jobs. Everything that is not a task is the job `outside`."""

    source: str
    target: str
    bytes: int | None = None
    rate_bytes_s: float = 0.0
    connections: int = 0
    edges: int = 0
    silent: int = 0
    cut: int = 0
    planned: bool = False
    expected: bool = False

    @property
    def ends(self) -> Edge:
        """Both jobs."""
        return self.source, self.target

    def to_json(self) -> dict[str, Any]:
        """The shape of one of `groups` in `map --json`."""
        return _with_ends(self)


def _with_ends(item: MapEdge | MapGroup) -> dict[str, Any]:
    source, target, *names = item.__slots__
    rest = {name: getattr(item, name) for name in names}
    return {"from": getattr(item, source), "to": getattr(item, target), **rest}


@dataclass(frozen=True, slots=True)
class MapView:
    """Who communicates with whom in a run, as `map` shows it.

    `seconds` is how long the run has taken, and `time` is now, in seconds since 1970.
    """

    cluster: str
    run: str
    state: str | None
    seconds: float
    time: float
    edges: tuple[MapEdge, ...] = ()
    groups: tuple[MapGroup, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The shape of `map --json`."""
        names = ("task", "job", "index", "state")
        return {
            "version": 1,
            **{name: getattr(self, name) for name in self.__slots__},
            "edges": [edge.to_json() for edge in self.edges],
            "groups": [group.to_json() for group in self.groups],
            "tasks": [{name: getattr(task, name) for name in names} for task in self.tasks],
            "damaged": dict(self.damaged),
        }


@dataclass(slots=True)
class _Pair:
    """Two ends, the plan's view of them, and their edge as it was last computed."""

    one: str
    other: str
    planned: bool
    expected: bool
    here: PeerFlow | None = None
    there: PeerFlow | None = None
    edge: MapEdge | None = None


class MapReader:
    """Reads the map of one run repeatedly."""

    def __init__(self, run: RunDirectory, status: StatusReader | None = None) -> None:
        self._run = run
        self._status = status or StatusReader(run)
        self._readers: dict[str, FlowReader] = {}
        self._plan: tuple[object, edges.Planned, frozenset[str]] = (None, edges.Planned(), _NOBODY)
        self._pairs: dict[Edge, _Pair] = {}
        self._made_for: object = None
        self._met: dict[str, int] = {}
        """How many peers of each task are in pairs already."""

    def read(self, problems: Problems | None = None) -> MapView:
        """The map now.

        Of the planned edges, those that are expected are there from the start. An edge of which
        nothing changed is the same object as before.
        """
        problems = problems if problems is not None else Problems()
        status = self._status.read(problems)
        now = time.time()
        over = status.state in TERMINAL
        last = status.ended or status.seen if over else now
        seconds = max(0.0, (last or now) - (status.started or last or now))
        names = [task.task for task in status.tasks]
        flows = {name: self._reader(name).read(now, problems) for name in names}
        self._meet(names, flows, problems, own=status.protection == "namespace")
        found = [edge for pair in self._pairs.values() if (edge := _edge(pair, flows))]
        if over:
            found = [_settled(edge, seconds) for edge in found]
        return MapView(
            cluster=status.cluster,
            run=status.run,
            state=status.state,
            seconds=round(seconds, 3),
            time=round(now, 3),
            edges=tuple(found),
            groups=tuple(groups(found)),
            tasks=status.tasks,
            damaged={str(path): what for path, what in problems.found.items()},
        )

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


def _in_order(task: str, peer: str, order: Mapping[str, int]) -> Edge:
    return (peer, task) if order.get(peer, len(order)) < order[task] else (task, peer)


def _edge(pair: _Pair, flows: Mapping[str, Flows]) -> MapEdge | None:
    """A pair's edge now, or None if there is nothing to report."""
    here = flows[pair.one].get(pair.other, _NONE)
    there = flows[pair.other].get(pair.one, _NONE) if pair.other in flows else _NONE
    if pair.edge is None or here is not pair.here or there is not pair.there:
        pair.here, pair.there, pair.edge = here, there, _made(pair, here, there)
    edge = pair.edge
    return edge if pair.expected or edge.bytes != 0 or edge.connections else None


def _made(pair: _Pair, here: PeerFlow, there: PeerFlow) -> MapEdge:
    """The edge, from the reports of both ends."""
    to, back = _larger(here.sent, there.received), _larger(here.received, there.sent)
    total = None if to is None and back is None else (to or 0) + (back or 0)
    rate_to = max(here.sent_rate, there.received_rate)
    rate_from = max(here.received_rate, there.sent_rate)
    return MapEdge(
        source=pair.one,
        target=pair.other,
        bytes=total,
        bytes_to=to,
        bytes_from=back,
        rate_bytes_s=round(rate_to + rate_from, 1),
        rate_to=round(rate_to, 1),
        rate_from=round(rate_from, 1),
        connections=max(here.open, there.open),
        planned=pair.planned,
        expected=pair.expected,
        mark=_mark(pair, total, cut=here.cut or there.cut),
        last_byte=max(here.changed or 0.0, there.changed or 0.0) or None,
    )


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


def _settled(edge: MapEdge, seconds: float) -> MapEdge:
    """An edge of a run that is over. Its rates are the mean."""
    to, back = (
        round((carried or 0) / seconds, 1) if seconds > 0 else 0.0
        for carried in (edge.bytes_to, edge.bytes_from)
    )
    total = round(to + back, 1)
    return replace(edge, rate_to=to, rate_from=back, rate_bytes_s=total, connections=0)


def groups(found: Iterable[MapEdge]) -> list[MapGroup]:
    """Edges grouped by job."""
    made: dict[Edge, MapGroup] = {}
    for edge in found:
        pair = (_job_at(edge.source), _job_at(edge.target))
        group = made.get(pair) or made.setdefault(pair, MapGroup(*pair))
        if edge.bytes is not None:
            group.bytes = (group.bytes or 0) + edge.bytes
        group.rate_bytes_s += edge.rate_bytes_s
        group.connections += edge.connections
        group.edges += 1
        group.silent += edge.mark == SILENT
        group.cut += edge.mark == CUT
        group.planned |= edge.planned
        group.expected |= edge.expected
    for group in made.values():
        group.rate_bytes_s = round(group.rate_bytes_s, 1)
    return list(made.values())


@functools.lru_cache(maxsize=1 << 15)
def _job_at(end: str) -> str:
    """`worker` for `worker/3`, and `outside` for everything that is not a task."""
    return OUTSIDE.rstrip(":") if end.startswith(OUTSIDE) else job_of(end)
