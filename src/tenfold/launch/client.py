"""The supervisor's end of the launch server: start tasks, signal them, hear of every exit.

Owns the child process that serves and the two sockets to it. What is started, and when, is
decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.errors import TenfoldError
from tenfold.launch import wire
from tenfold.launch.server import MARK

_HELLO = "hello"

ExitCallback = Callable[[int], None]
"""Called once with the status as waitpid gives it."""


class SpawnError(TenfoldError):
    """A command could not be started: not found, not executable, no such directory."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs. `pid` is the host's; `id` names this start to the launch server."""

    id: str
    pid: int


class LaunchClient:
    """One launch server, and everything it started.

    After `open` it serves; after `close` no process of it is left.
    """

    def __init__(self, isolated: bool) -> None:
        self.isolated = isolated
        self._ids = itertools.count(1)
        self._exits: dict[str, ExitCallback] = {}
        self._answers: dict[str, asyncio.Future[wire.Message]] = {}
        self._inbox = wire.Inbox()
        self._on_lost: Callable[[], None] = lambda: None

    async def open(self, on_lost: Callable[[], None]) -> None:
        """Start the server and wait for its first word; `on_lost` if it ends unasked."""
        self._requests, requests = socket.socketpair()
        self._gate, gate = socket.socketpair()
        mode = "namespace" if self.isolated else "none"
        with requests, gate:
            inherited = (requests.fileno(), gate.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tenfold.launch.server", *map(str, inherited), mode],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        loop = asyncio.get_running_loop()
        self._answers[_HELLO] = loop.create_future()
        loop.add_reader(self._requests, self._hear)
        self._on_lost = on_lost
        hello = await asyncio.wait_for(self._answers[_HELLO], 30)
        if hello["op"] != "hello":
            raise TenfoldError("the launch server could not start", hint="see supervisor.log")

    def _hear(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            data = self._requests.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            loop.remove_reader(self._requests)
            for name in list(self._answers):
                self._answer(name, {"op": "lost"})
            self._on_lost()
            return
        for message in self._inbox.feed(data):
            if message["op"] == "exited":
                # Not called at once: whoever waits for `spawn` hears of the start first, even
                # when both notices came in one piece.
                if callback := self._exits.pop(message["id"], None):
                    loop.call_soon(callback, message["status"])
            else:
                self._answer(message.get("id", _HELLO), message)

    def _answer(self, name: str, message: wire.Message) -> None:
        """Hand an answer to whoever waits for it; what nobody waits for any more is ended."""
        future = self._answers.pop(name)
        if not future.done():
            future.set_result(message)
        elif message["op"] == "started":
            self.signal(Started(name, message["pid"]), signal.SIGKILL)

    async def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        stdio: tuple[int, int, int],
        on_exit: ExitCallback,
        network: str = "cluster",
    ) -> Started:
        """Start a command; `on_exit` is called once, later. Raises SpawnError if it can't be.

        The descriptors of `stdio` stay open here and belong to the caller.
        """
        name = f"{os.getpid()}.{next(self._ids)}"
        message = {
            "op": "spawn",
            "id": name,
            "argv": list(argv),
            "env": {**env, MARK: name},
            "cwd": str(cwd),
            "network": network,
        }
        answered = self._answers[name] = asyncio.get_running_loop().create_future()
        self._exits[name] = on_exit
        try:
            wire.send(self._requests, message, stdio)
        except OSError as error:
            self._answer(name, {"op": "lost", "error": str(error)})
        answer = await answered
        if answer["op"] != "started":
            self._exits.pop(name, None)
            raise SpawnError(answer.get("error", "the launch server is gone"))
        return Started(name, answer["pid"])

    def signal(self, started: Started, number: int) -> None:
        """Signal the process group of a task, if it still runs."""
        with contextlib.suppress(OSError):
            wire.send(self._requests, {"op": "signal", "id": started.id, "signal": number})

    def socket(self) -> socket.socket:
        """A new TCP socket in the network of the run's tasks, not connected."""
        if not self.isolated:
            return socket.socket()
        wire.send(self._gate, {"op": "socket"})
        received = wire.receive(self._gate)
        if received is None:
            raise ConnectionError("the run's network is gone")
        return socket.socket(fileno=received[1][0])

    async def close(self) -> None:
        """End every process that was started here, whatever it does against it."""
        self._on_lost = lambda: None
        asyncio.get_running_loop().remove_reader(self._requests)
        self._requests.close()
        self._gate.close()
        await asyncio.to_thread(self._end_process)

    def _end_process(self) -> None:
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
