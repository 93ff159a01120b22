"""The supervisor's end of a socket to a process that forks tasks.

It sends starts and receives their results.

Owns the messages of one connection. Leaves to others: which processes there are (`client`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tenfold.errors import TenfoldError
from tenfold.launch import wire

_HELLO = "hello"

ExitCallback = Callable[[int], None]
"""Called once with the status as waitpid gives it."""


class SpawnError(TenfoldError):
    """A command could not be started: not found, not executable, no such directory."""


class LostError(SpawnError):
    """The launch server is gone. Nothing of the start is left."""


class PreloadError(TenfoldError):
    """A process to fork from could not be prepared.

    A module is missing, or cannot be imported.
    """


@dataclass(frozen=True, slots=True)
class Started:
    """A running process. `pid` is the host's.

    `id` names this start to its launch server.
    """

    id: str
    pid: int
    server: Channel = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ends:
    """The callbacks for the end of a task's own process, and of the task.

    The first is called if other processes of the task outlive its own.

    Where nobody hears of the first, the others are killed.
    """

    on_exit: ExitCallback
    on_left: ExitCallback | None = None


class Channel:
    """A socket to a process that forks. It sends requests and receives notices.

    The launch server's notices are about all starts, whoever was asked for them. `on_lost` is
    called once when the process is gone; `lost` then holds. `asked`: starts that it was asked for
    and that the launch server has not answered.
    """

    lost = False
    modules: frozenset[str] = frozenset()
    """Of a preloaded process: the modules it has imported (see `preload`)."""

    def __init__(self, connection: socket.socket, on_lost: Callable[[], None]) -> None:
        self._connection = connection
        self._on_lost = on_lost
        self.asked: set[str] = set()
        self._ends: dict[str, Ends] = {}
        self._answers: dict[str, asyncio.Future[wire.Message]] = {}
        self._inbox = wire.Inbox()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._hear)
        self._hello = self._awaited(_HELLO)

    def _awaited(self, name: str) -> asyncio.Future[wire.Message]:
        answer = self._answers[name] = self._loop.create_future()
        return answer

    async def hello(self) -> wire.Message:
        """The server's first notice, or one with an `error` if it ended before."""
        return await self._hello

    def _hear(self) -> None:
        try:
            data = self._connection.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        for message in self._inbox.feed(data):
            if message["op"] == "exited":
                self._tell_exit(message["id"], message["status"])
            elif message["op"] == "left":
                self._tell_left(message["id"], message["status"])
            else:
                self._answer(message.get("id", _HELLO), message)

    def _tell_exit(self, name: str, status: int) -> None:
        # Not called at once: whoever waits for `spawn` hears of the start first, even when both
        # notices came in one piece.
        if ends := self._ends.pop(name, None):
            self._loop.call_soon(ends.on_exit, status)

    def _tell_left(self, name: str, status: int) -> None:
        ends = self._ends.get(name)
        if ends is not None and ends.on_left is not None:
            self._loop.call_soon(ends.on_left, status)
        else:
            self.signal(name, signal.SIGKILL)

    def _lose(self) -> None:
        self.lost = True
        self._loop.remove_reader(self._connection)
        self._connection.close()
        for name in list(self._answers):
            self._ends.pop(name, None)
            self._answer(name, {"op": "lost", "error": "the launch server is gone"})
        self._on_lost()

    def lose_starts(self, names: Sequence[str]) -> None:
        """Fail these starts: the process asked for them has ended and began none."""
        for name in [name for name in names if name in self._answers]:
            self._ends.pop(name, None)
            self._answer(name, {"op": "lost", "error": "the preload server is gone"})

    def _answer(self, name: str, message: wire.Message) -> None:
        """Pass an answer to its waiter.

        A task that nobody waits for any more is ended.
        """
        future = self._answers.pop(name)
        if not future.done():
            future.set_result(message)
        elif message["op"] == "started":
            self.signal(name, signal.SIGKILL)

    async def start(
        self,
        message: wire.Message,
        descriptors: Sequence[int],
        ends: Ends,
        carrier: Channel | None = None,
    ) -> wire.Message:
        """Send `message` and wait for its answer.

        `carrier` is the channel of the process that forks, if it is not this one.

        See `LaunchClient.spawn`.
        """
        name, carrier = message["id"], carrier or self
        answered = self._awaited(name)
        self._ends[name] = ends
        carrier.asked.add(name)
        try:
            wire.send(carrier._connection, message, descriptors)
        except OSError as error:
            self._answer(name, {"op": "lost", "error": f"the launch server is gone: {error}"})
        try:
            answer = await answered
        finally:
            carrier.asked.discard(name)
        if answer["op"] != "started":
            self._ends.pop(name, None)
            raise (LostError if answer["op"] == "lost" else SpawnError)(answer["error"])
        return answer

    def signal(self, name: str, number: int) -> None:
        """Signal the process group of the start called `name`, if it still runs."""
        with contextlib.suppress(OSError):
            wire.send(self._connection, {"op": "signal", "id": name, "signal": number})

    def close(self) -> None:
        """Close the connection.

        Pending requests fail with an error. No exit is reported.
        """
        if not self.lost:
            self._loop.remove_reader(self._connection)
            self._connection.close()
        self._ends.clear()
        for name in list(self._answers):
            self._answer(name, {"op": "lost", "error": "the launch server was closed"})
