"""Runs as Prometheus metrics.

They have base units, one name for each metric, and the labels `cluster`, `run` and `task`.

Owns the names; docs/dashboard.md lists them. Runs that are up are told, and for a while those that
ended, so that a scrape sees how.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tenfold.run.states import OF_RUNS, OF_TASKS
from tenfold.views.live import LiveRun
from tenfold.views.traffic import MapView

TOLD_AFTER_END_S = 900.0

_RUN = ("cluster", "run")
_TASK = (*_RUN, "task")

Pair = tuple[LiveRun, MapView]
"""One run and its map."""


def is_told(now: LiveRun) -> bool:
    """Whether a run's figures belong into a scrape."""
    return now.alive or (now.end is not None and time.time() - now.end < TOLD_AFTER_END_S)


def exposition(runs: Iterable[Pair], accept: str) -> tuple[bytes, str]:
    """The text and its content type, in the format that `accept` requests."""
    registry = CollectorRegistry()
    registry.register(_Scrape(list(runs)))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Scrape(Collector):
    """The metrics of one scrape."""

    def __init__(self, runs: list[Pair]) -> None:
        self._runs = runs

    def describe(self) -> list[Metric]:
        """Empty: nothing is known before a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families, including those without samples."""
        yield from self._clusters()
        yield from self._task_states()
        yield from self._tasks()
        yield from self._edges()

    def _clusters(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "tenfold_cluster_state", "1 for the state the run is in, else 0.",
            labels=(*_RUN, "state"),
        )  # fmt: skip
        started = GaugeMetricFamily(
            "tenfold_cluster_start_time_seconds", "When the run started.", labels=_RUN
        )
        for now, _ in self._runs:
            own = _own(now)
            for name in OF_RUNS:
                state.add_metric([*own, name], now.status.state == name)
            _add(started, own, now.status.started)
        yield state
        yield started

    def _task_states(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "tenfold_task_state", "1 for the state the task is in, else 0.",
            labels=(*_TASK, "state"),
        )  # fmt: skip
        for now, _ in self._runs:
            for task in now.tasks:
                for name in OF_TASKS:
                    state.add_metric([*_own(now), task.view.task, name], task.view.state == name)
        yield state

    def _tasks(self) -> Iterator[Metric]:
        restarts = _counter("tenfold_task_restarts", "Restarts of the task in its run.")
        used = _counter("tenfold_task_cpu_seconds", "CPU time of the task, all its lives.")
        cores = _gauge("tenfold_task_cpu_cores", "CPU seconds a second, over the last seconds.")
        memory = _gauge("tenfold_task_memory_bytes", "Memory of the task's processes.")
        speed = _gauge(
            "tenfold_task_progress_per_second", "Units a second, as the task told.", "unit"
        )
        done = _gauge("tenfold_task_progress_done", "Units done, as the task told.", "unit")
        total = _gauge("tenfold_task_progress_goal", "Units there are to do.", "unit")
        for now, _ in self._runs:
            for task in now.tasks:
                own = [*_own(now), task.view.task]
                _add(restarts, own, task.view.restarts)
                _add(used, own, task.cpu_s)
                _add(cores, own, task.cpu)
                _add(memory, own, task.memory)
                if said := task.progress:
                    _add(speed, [*own, said.unit], said.rate)
                    _add(done, [*own, said.unit], said.done)
                    _add(total, [*own, said.unit], said.total)
        yield from (restarts, used, cores, memory, speed, done, total)

    def _edges(self) -> Iterator[Metric]:
        labels = (*_RUN, "from", "to")
        carried = CounterMetricFamily(
            "tenfold_edge_bytes", "Bytes sent by `from` to `to`.", labels=labels
        )
        connections = GaugeMetricFamily(
            "tenfold_edge_connections", "Open connections, whoever opened them.", labels=labels
        )
        planned = GaugeMetricFamily(
            "tenfold_edge_planned", "1 if the plan implies that these two talk.", labels=labels
        )
        for now, found in self._runs:
            for edge in found.edges:
                ends = list(edge.ends)
                _add(carried, [*_own(now), *ends], edge.bytes_to)
                _add(carried, [*_own(now), *ends[::-1]], edge.bytes_from)
                _add(connections, [*_own(now), *ends], edge.connections)
                _add(planned, [*_own(now), *ends], edge.planned)
        yield from (carried, connections, planned)


def _own(now: LiveRun) -> list[str]:
    return [now.status.cluster, now.status.run]


def _counter(name: str, meaning: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, meaning, labels=_TASK)


def _gauge(name: str, meaning: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=(*_TASK, *more))


def _add(family: CounterMetricFamily | GaugeMetricFamily, labels: list[str], value: Any) -> None:
    if isinstance(value, (int, float)):
        family.add_metric(labels, value)
