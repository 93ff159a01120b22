"""Server-sent events: a run's whole state once, then changes every second.

The map is read only while a stream wants it, because it is most of the work.

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
from dataclasses import dataclass, replace
from typing import Any

from tenfold.dashboard.boards import Board
from tenfold.dashboard.changes import changes, map_changes
from tenfold.dashboard.replies import encoded
from tenfold.run.rundir import RunDirectory
from tenfold.views.eventpages import end_of_events, events_from
from tenfold.views.health import Health
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
    """The result of one look at a run. `map` is None while no stream wants it."""

    now: LiveRun
    map: MapView | None
    map_due: float
    """When another look at the map is due, by the monotonic clock."""
    events_read: int
    health: Health | None = None
    """The last verdict. None before the first one."""


Message = tuple[str, bytes]
"""The name of an event, and the event in the wire format."""


def told(name: str, value: object) -> bytes:
    """One event in the wire format."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), encoded(value))


class StreamWatch:
    """One run, watched while a stream of it is open.

    Use it from the event loop only.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._streams: dict[asyncio.Queue[bytes | None], bool] = {}
        """The streams, and whether each of them wants the map."""
        self.open = 0
        """The number of streams, including those that are just starting."""
        self._look: Look | None = None
        self._poller: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    async def stream(
        self, more: dict[str, Any], *, with_map: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """Stream the run from now on.

        It sends `status` and the whole `map` if wanted, then changes and a `beat` a second.

        Ends when the reader is too slow, and when the watch is closed.
        """
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        self.open += 1
        try:
            look = await self._join(queue, with_map)
            yield b"retry: 1000\n\n"
            yield await asyncio.to_thread(told, "status", look.now.to_json() | more)
            if look.health is not None:
                yield told("health", look.health.to_json())
            if with_map and look.map is not None:
                yield await asyncio.to_thread(told, "map", map_changes(None, look.map))
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._leave(queue)

    async def _join(self, queue: asyncio.Queue[bytes | None], with_map: bool) -> Look:
        """Add a stream: all that follows the returned look goes into its queue."""
        async with self._looking:
            if self._look is None:
                self._look = await asyncio.to_thread(first_look, self._board, with_map=with_map)
            elif with_map and self._look.map is None:
                found, due = await asyncio.to_thread(_map, self._board)
                self._look = replace(self._look, map=found, map_due=due)
            self._streams[queue] = with_map
            if self._poller is None:
                self._poller = asyncio.create_task(self._poll())
            return self._look

    def _leave(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._streams.pop(queue, None)
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
                self._tell([*news, ("beat", told("beat", {"time": round(time.time(), 3)}))])
            async with self._looking:  # after the news, which nothing is to delay
                self._tell(await self._verdict())
            took = time.monotonic() - began
            await asyncio.sleep(max(TICK_S - took, took * (_SHARE - 1), 0.05))

    async def _news(self, ticks: int) -> list[Message]:
        """The changes found by another look.

        An error is recorded in the log, and the next look follows.
        """
        before = self._look
        if before is not None and before.now.over and ticks % _OVER_TICKS and before.health:
            return []
        with_map = any(self._streams.values())
        try:
            self._look, news = await asyncio.to_thread(
                next_look, self._board, before, with_map=with_map
            )
        except Exception:
            traceback.print_exc()
            return []
        return news

    async def _verdict(self) -> list[Message]:
        """The verdict on the last look, if it is another one."""
        look = self._look
        if look is None:
            return []
        try:
            health = await asyncio.to_thread(self._board.health, look.now)
        except Exception:
            traceback.print_exc()
            return []
        if health is look.health:
            return []
        self._look = replace(look, health=health)
        return [("health", told("health", health.to_json()))]

    def _tell(self, messages: list[Message]) -> None:
        if not messages:
            return
        whole = b"".join(data for _, data in messages)
        without_map = b"".join(data for name, data in messages if name != "map")
        for queue, with_map in list(self._streams.items()):
            try:
                queue.put_nowait(whole if with_map else without_map)
            except asyncio.QueueFull:
                self._end(queue)

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        """End a stream: nothing more is sent to it or waits for it."""
        self._streams.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def close(self) -> None:
        """End every stream."""
        for queue in list(self._streams):
            self._end(queue)
        self._rest()


def first_look(board: Board, *, with_map: bool = True) -> Look:
    """The whole state, and events from the end on.

    The verdict follows, so that the page appears sooner.
    """
    found, due = _map(board) if with_map else (None, 0.0)
    return Look(board.now(), found, due, end_of_events(board.run))


def next_look(
    board: Board, before: Look | None, *, with_map: bool = True
) -> tuple[Look, list[Message]]:
    """Look again: the new look, and the events for what has changed."""
    if before is None:
        return first_look(board, with_map=with_map), []
    now = board.now()
    found, due = before.map if with_map else None, before.map_due
    is_due = time.monotonic() >= due or now.status.state != before.now.status.state
    if with_map and is_due:
        found, due = _map(board)
    happened = events_from(board.run, before.events_read)
    news: list[tuple[str, Any]] = [("tasks", changes(before.now, now))]
    if found is not None:
        news.append(("map", map_changes(before.map, found)))
    if happened["events"]:
        news.append(("events", {name: happened[name] for name in ("events", "start", "next")}))
    messages = [(name, told(name, value)) for name, value in news if value is not None]
    return Look(now, found, due, happened["next"], before.health), messages


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

    async def stream(
        self, board: Board, more: dict[str, Any], *, with_map: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """`StreamWatch.stream` of this board's run. `more` is added to its `status`."""
        watch = self._watches.setdefault(board.run, StreamWatch(board))
        try:
            async with contextlib.aclosing(watch.stream(more, with_map=with_map)) as messages:
                async for message in messages:
                    yield message
        finally:
            if not watch.open and self._watches.get(board.run) is watch:
                del self._watches[board.run]

    def close(self) -> None:
        """End every stream."""
        for watch in self._watches.values():
            watch.close()
