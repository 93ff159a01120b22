"""The readers of a run, shared by all its viewers.

Each reader remembers what it has read, so that the next look costs little; a few runs are
remembered, those looked at last.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

from tenfold.cells.settling import Settler
from tenfold.run.jsonfiles import Problems
from tenfold.run.rundir import RunDirectory
from tenfold.views.figures import FigureReader
from tenfold.views.health import Health, HealthReader
from tenfold.views.layout import layout
from tenfold.views.live import LiveReader, LiveRun
from tenfold.views.overview import RunOverview, overview
from tenfold.views.status import RunView, StatusReader
from tenfold.views.traffic import MapReader, MapView

_MOST_BOARDS = 16
_MOST_TASKS = 2000
"""The maximum number of tasks of all boards in memory.

The board that was used last is kept whatever its size.
"""

_LATELY_S = 0.2
_LEADERS = ("chief", "master")
_READINGS = ("live", "map", "training", "health", "overview")


class Board:
    """One run, read by any threads.

    Each type of reading is done by one thread at a time.
    """

    def __init__(self, run: RunDirectory, settler: Settler | None = None) -> None:
        self.run = run
        self._settler = settler or Settler()
        self._live = LiveReader(run)
        self._map = MapReader(run, _Lately(run, self._live))
        self._training: Any = None
        self._figures = FigureReader(run)
        self._health = HealthReader(run)
        self._locks = {name: threading.Lock() for name in _READINGS}

    @property
    def tasks(self) -> int:
        """The number of tasks of the run at the last look."""
        now = self._live.last[1]
        return len(now.tasks) if now else 0

    def now(self) -> LiveRun:
        """The run and its tasks."""
        with self._locks["live"]:
            self._settler.settle(self.run)
            return self._live.read()

    def map(self) -> MapView:
        """The map.

        If the files of a run make no sense, this is a map without edges that reports it.
        """
        with self._locks["map"]:
            try:
                return self._map.read()
            except (TypeError, ValueError, AttributeError, KeyError, OSError) as error:
                return _no_map(self.run, f"the map cannot be made: {error}")

    def map_with_layout(self, aspect: float) -> dict[str, Any]:
        """`map --json`, with the positions of its jobs and tasks."""
        found = self.map()
        return found.to_json() | {"layout": layout(found, aspect).to_json()}

    def health(self, now: LiveRun) -> Health:
        """The verdict of `why` on the run. `now` is the newest look at it."""
        with self._locks["health"]:
            return self._health.read(now, lambda: self.map().edges)

    def overview(self) -> RunOverview:
        """What the run is, and how its tasks used CPU and memory over time."""
        with self._locks["overview"]:
            return overview(self.run, self.now())

    def training(self) -> dict[str, Any]:
        """Curves of the training's event files, and of figures of `tenfold.progress`."""
        from tenfold.views.training import TrainingReader

        with self._locks["training"]:
            if self._training is None:
                self._training = TrainingReader(self.run)
            found: dict[str, Any] = self._training.read()
            return found | {"figures": self._figures.read(_reporting(self._live.last[1]))}


def _reporting(now: LiveRun | None) -> list[str]:
    """The tasks that reported progress, the chief first."""
    told = [task.view for task in (now.tasks if now else ()) if task.progress]
    return [task.task for task in sorted(told, key=lambda task: task.job not in _LEADERS)]


class _Lately(StatusReader):
    """The live reader's recent status. The map is made right after it."""

    def __init__(self, run: RunDirectory, live: LiveReader) -> None:
        super().__init__(run)
        self._live = live

    def read(self, problems: Problems | None = None) -> RunView:
        """The result of `StatusReader.read`, at most `_LATELY_S` old."""
        moment, now = self._live.last
        if now is not None and time.monotonic() - moment < _LATELY_S:
            return now.status
        return super().read(problems)


def _no_map(run: RunDirectory, words: str) -> MapView:
    damaged = {str(run.path): words}
    return MapView(run.cluster, run.run, None, 0.0, time.time(), damaged=damaged)


class Boards:
    """The boards of the runs that were viewed last."""

    def __init__(self) -> None:
        self.settler = Settler()
        self._boards: OrderedDict[RunDirectory, Board] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run: RunDirectory) -> Board:
        """The one board of a run. It is created if there is none."""
        with self._lock:
            board = self._boards.pop(run, None) or Board(run, self.settler)
            self._boards[run] = board
            while len(self._boards) > 1 and self._are_many():
                self._boards.popitem(last=False)
            return board

    def _are_many(self) -> bool:
        tasks = sum(board.tasks for board in self._boards.values())
        return len(self._boards) > _MOST_BOARDS or tasks > _MOST_TASKS
