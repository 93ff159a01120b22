"""Server-sent events: a run's whole state once, then changes every second.

One `StreamWatch` polls a run for all streams that are open on it, and rests when there is none. A
stream whose reader is too slow is ended; the browser opens another, which begins with the whole
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from tenfold.dashboard.boards import Board
from tenfold.dashboard.changes import changes, map_changes
from tenfold.dashboard.replies import encoded
from tenfold.run.rundir import RunDirectory
from tenfold.views.eventpages import end_of_events, events_from
from tenfold.views.live import LiveRun
from tenfold.views.traffic import MapView

TICK_S = 1.0
_OVER_TICKS = 5
_MOST_WAITING = 30
_MAP_SHARE = 10
_SHARE = 4
"""The maximum share of the time spent on looks, as a divisor.

A look that takes long is followed by a pause.
"""


@dataclass(frozen=True, slots=True)
class Look:
    """The result of one look at a run."""

    now: LiveRun
    map: MapView
    map_due: float
    """When another look at the map is due, by the monotonic clock."""
    events_read: int


def told(name: str, value: object) -> bytes:
    """One event in the wire format."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(value))


class StreamWatch:
    """One run, watched while a stream of it is open.

    Use it from the event loop only.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._streams: set[asyncio.Queue[bytes | None]] = set()
        self.open = 0
        """The number of streams, including those that are just starting."""
        self._look: Look | None = None
        self._poller: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    async def stream(self, more: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """Stream the run from now on.

        It sends `status` and the whole `map`, then changes and a `beat` a second.

        Ends when the reader is too slow, and when the watch is closed.
        """
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self.open += 1
        try:
            look = await self._join(queue)
            yield b"retry: 1000\n\n"
            yield await asyncio.to_thread(told, "status", look.now.to_json() | more)
            yield await asyncio.to_thread(told, "map", map_changes(None, look.map))
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._leave(queue)

    async def _join(self, queue: asyncio.Queue[bytes | None]) -> Look:
        """Add a stream: all that follows the returned look goes into its queue."""
        async with self._looking:
            if self._look is None:
                self._look = await asyncio.to_thread(first_look, self._board)
            self._streams.add(queue)
            if self._poller is None:
                self._poller = asyncio.create_task(self._poll())
            return self._look

    def _leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._streams.discard(queue)
        self.open -= 1
        if not self.open:
            self._rest()

    def _rest(self) -> None:
        """Wait without looking until a stream is opened."""
        if self._poller is not None:
            self._poller.cancel()
        self._poller = self._look = None

    async def _poll(self) -> None:
        ticks = 0
        while True:
            began = time.monotonic()
            ticks += 1
            async with self._looking:
                news = await self._news(ticks)
                self._tell(b"".join([*news, told("beat", {"time": round(time.time(), 3)})]))
            took = time.monotonic() - began
            await asyncio.sleep(max(TICK_S - took, took * (_SHARE - 1), 0.05))

    async def _news(self, ticks: int) -> list[bytes]:
        """The changes found by another look.

        An error is recorded in the log, and the next look follows.
        """
        before = self._look
        if before is not None and before.now.over and ticks % _OVER_TICKS:
            return []
        try:
            self._look, news = await asyncio.to_thread(next_look, self._board, before)
        except Exception:
            traceback.print_exc()
            return []
        return news

    def _tell(self, message: bytes | None) -> None:
        for queue in list(self._streams):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._end(queue)

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        """End a stream: nothing more is sent to it or waits for it."""
        self._streams.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def close(self) -> None:
        """End every stream."""
        for queue in list(self._streams):
            self._end(queue)
        self._rest()


def first_look(board: Board) -> Look:
    """The whole state, and events from the end on."""
    found, due = _map(board)
    return Look(board.now(), found, due, end_of_events(board.run))


def next_look(board: Board, before: Look | None) -> tuple[Look, list[bytes]]:
    """Look again: the new look, and the events for what has changed."""
    if before is None:
        return first_look(board), []
    now = board.now()
    found, due = before.map, before.map_due
    if time.monotonic() >= due or now.status.state != before.now.status.state:
        found, due = _map(board)
    happened = events_from(board.run, before.events_read)
    messages = []
    if (changed := changes(before.now, now)) is not None:
        messages.append(told("tasks", changed))
    if (moved := map_changes(before.map, found)) is not None:
        messages.append(told("map", moved))
    if happened["events"]:
        new = {name: happened[name] for name in ("events", "start", "next")}
        messages.append(told("events", new))
    return Look(now, found, due, happened["next"]), messages


def _map(board: Board) -> tuple[MapView, float]:
    """The map, and when to make it again.

    A map of many thousand edges is not made every second.
    """
    began = time.monotonic()
    found = board.map()
    took = time.monotonic() - began
    return found, began + (took * _MAP_SHARE if took > TICK_S / _MAP_SHARE else 0.0)


class Watches:
    """The watches of all runs with open streams."""

    def __init__(self) -> None:
        self._watches: dict[RunDirectory, StreamWatch] = {}

    @property
    def open(self) -> int:
        """The number of open streams of any run."""
        return sum(watch.open for watch in self._watches.values())

    async def stream(self, board: Board, more: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        """`Watch.stream` of this board's run. `more` is added to its `status`."""
        watch = self._watches.setdefault(board.run, StreamWatch(board))
        try:
            async with contextlib.aclosing(watch.stream(more)) as messages:
                async for message in messages:
                    yield message
        finally:
            if not watch.open and self._watches.get(board.run) is watch:
                del self._watches[board.run]

    def close(self) -> None:
        """End every stream."""
        for watch in self._watches.values():
            watch.close()
