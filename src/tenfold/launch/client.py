"""The supervisor's end of the launch server: start tasks, signal them, hear of every exit.

Owns the child process that serves, the preloaded servers below it, and the sockets to them. What
is started, and when, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.errors import TenfoldError
from tenfold.interpreter import own
from tenfold.launch import wire
from tenfold.launch.preloads import Preload
from tenfold.launch.server import MARK
from tenfold.traffic.sockets import diagnosis_socket

_HELLO = "hello"
_HELLO_S = 30.0
_PRELOAD_S = 120.0
END_S = 5.0

ExitCallback = Callable[[int], None]
"""Called once with the status as waitpid gives it."""


class SpawnError(TenfoldError):
    """A command could not be started: not found, not executable, no such directory."""


class LostError(SpawnError):
    """The launch server that was asked is gone; nothing of the start is left."""


class PreloadError(TenfoldError):
    """A process to fork from could not be prepared: a module is missing, or does not import."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs. `pid` is the host's; `id` names this start to its launch server."""

    id: str
    pid: int
    server: _Channel = field(repr=False)


class _Channel:
    """One launch server's socket: requests go out, notices come in.

    `on_lost` is called once when the server is gone; `lost` then holds.
    """

    lost = False
    modules: frozenset[str] = frozenset()
    """Of a preloaded one: what it has imported (see `preload`)."""

    def __init__(self, connection: socket.socket, on_lost: Callable[[], None]) -> None:
        self._connection = connection
        self._on_lost = on_lost
        self._exits: dict[str, ExitCallback] = {}
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
            else:
                self._answer(message.get("id", _HELLO), message)

    def _tell_exit(self, name: str, status: int) -> None:
        # Not called at once: whoever waits for `spawn` hears of the start first, even when both
        # notices came in one piece.
        if callback := self._exits.pop(name, None):
            self._loop.call_soon(callback, status)

    def _lose(self) -> None:
        self.lost = True
        self._loop.remove_reader(self._connection)
        self._connection.close()
        for name in list(self._answers):
            self._exits.pop(name, None)
            self._answer(name, {"op": "lost", "error": "the launch server is gone"})
        self._on_lost()

    def tell_killed(self) -> None:
        """Tell of every task that it was killed: so it is when a preloaded server goes."""
        for name in list(self._exits):
            self._tell_exit(name, signal.SIGKILL)

    def _answer(self, name: str, message: wire.Message) -> None:
        """Hand an answer to whoever waits for it; what nobody waits for any more is ended."""
        future = self._answers.pop(name)
        if not future.done():
            future.set_result(message)
        elif message["op"] == "started":
            self.signal(name, signal.SIGKILL)

    async def start(
        self, message: wire.Message, descriptors: Sequence[int], on_exit: ExitCallback
    ) -> Started:
        """Send `message` and wait for its answer; see `LaunchClient.spawn`."""
        name = message["id"]
        answered = self._awaited(name)
        self._exits[name] = on_exit
        try:
            wire.send(self._connection, message, descriptors)
        except OSError as error:
            self._answer(name, {"op": "lost", "error": f"the launch server is gone: {error}"})
        answer = await answered
        if answer["op"] != "started":
            self._exits.pop(name, None)
            raise (LostError if answer["op"] == "lost" else SpawnError)(answer["error"])
        return Started(name, answer["pid"], self)

    def signal(self, name: str, number: int) -> None:
        """Signal the process group of the start called `name`, if it still runs."""
        with contextlib.suppress(OSError):
            wire.send(self._connection, {"op": "signal", "id": name, "signal": number})

    def close(self) -> None:
        """Hang up. What waits for an answer is told that there will be none; no exit is told."""
        if not self.lost:
            self._loop.remove_reader(self._connection)
            self._connection.close()
        self._exits.clear()
        for name in list(self._answers):
            self._answer(name, {"op": "lost", "error": "the launch server was closed"})


class LaunchClient:
    """One launch server, the preloaded ones below it, and everything they started.

    After `open` it serves; after `close` no process of it is left.
    """

    def __init__(self, isolated: bool, filtered: bool = False) -> None:
        """`isolated`: tasks get namespaces; `filtered`: their binds are answered (`binds`)."""
        self.isolated = isolated
        self._filtered = filtered
        self._ids = itertools.count(1)
        self._preloaded: dict[Preload, asyncio.Task[_Channel]] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    async def open(self, on_lost: Callable[[], None]) -> None:
        """Start the server and wait for its first word; `on_lost` if it ends unasked."""
        connection, requests = socket.socketpair()
        self._gate, gate = socket.socketpair()
        mode = "namespace" if self.isolated else "seccomp" if self._filtered else "none"
        with requests, gate:
            inherited = (requests.fileno(), gate.fileno())
            self._process = subprocess.Popen(
                own("tenfold.launch.server", *map(str, inherited), mode),
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._server = _Channel(connection, on_lost)
        hello = await asyncio.wait_for(self._server.hello(), _HELLO_S)
        if "error" in hello:
            raise TenfoldError("the launch server could not start", hint="see supervisor.log")

    async def preload(self, wanted: Preload, room_for: Mapping[str, str]) -> frozenset[str]:
        """Have the process `wanted` ready to fork tasks from; it is begun by the first who asks.

        Gives the top-level modules that it has imported and a script could replace. `room_for` is a
        task's whole environment. Raises PreloadError if there is none to be had, now and at every
        later call.
        """
        if wanted not in self._preloaded:
            begun = self._begin_preload(wanted, room_for)
            self._preloaded[wanted] = asyncio.create_task(begun)
        return (await asyncio.shield(self._preloaded[wanted])).modules

    async def _begin_preload(self, wanted: Preload, room_for: Mapping[str, str]) -> _Channel:
        ours, theirs = socket.socketpair()
        status: list[int] = []
        message = self._message(
            "preload",
            wanted.argv(),
            wanted.environment(room_for),
            wanted.directory,
            wanted.network,
        )
        channel = _Channel(ours, lambda: self._forget(wanted, channel))
        try:
            with theirs:
                stdio = (self._null, 1, 2)  # what an import says goes to the supervisor's log
                descriptors = (*stdio, theirs.fileno())
                started = await self._server.start(message, descriptors, status.append)
            hello = await self._hello_of(channel, started)
            if "error" in hello or channel.lost:
                raise PreloadError(await self._why(hello, status))
            channel.modules = frozenset(map(str, hello.get("modules", ())))
        except SpawnError as error:
            channel.close()
            raise PreloadError(error.message) from error
        except BaseException:
            channel.close()
            raise
        return channel

    async def _hello_of(self, channel: _Channel, started: Started) -> wire.Message:
        try:
            return await asyncio.wait_for(channel.hello(), _PRELOAD_S)
        except TimeoutError:
            self._server.signal(started.id, signal.SIGKILL)
            raise PreloadError(f"the import took longer than {_PRELOAD_S:g} s") from None

    async def _why(self, hello: wire.Message, status: list[int]) -> str:
        """Why a preload ended: what it said itself, or how it died."""
        if "error" in hello and hello["op"] == "hello":
            return str(hello["error"])
        for _ in range(100):
            if status:
                code = os.waitstatus_to_exitcode(status[0])
                return f"it was killed by signal {-code}" if code < 0 else f"it exited with {code}"
            await asyncio.sleep(0.01)
        return "it ended"

    def _forget(self, wanted: Preload, channel: _Channel) -> None:
        """A preload that served is gone; the next task to want it begins it anew."""
        channel.tell_killed()
        begun = self._preloaded.get(wanted)
        if begun is not None and begun.done() and not begun.cancelled() and not begun.exception():
            del self._preloaded[wanted]

    def _message(
        self, op: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, network: str
    ) -> wire.Message:
        name = f"{os.getpid()}.{next(self._ids)}"
        return {
            "op": op,
            "id": name,
            "argv": list(argv),
            "env": {MARK: name, **env},  # the mark first: see script.show_as
            "cwd": cwd,
            "network": network,
        }

    async def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        stdio: tuple[int, int, int],
        on_exit: ExitCallback,
        network: str = "cluster",
        preload: Preload | None = None,
        group: int | None = None,
    ) -> Started:
        """Start a command; `on_exit` is called once, later. Raises SpawnError if it can't be.

        With a `preload` it is forked from that, if it is ready and does not end meanwhile. `group`
        is the `cgroup.procs` of a control group that it enters first. The descriptors of `stdio`,
        and `group`, stay open here and belong to the caller.
        """
        message = self._message("spawn", argv, env, str(cwd), network)
        descriptors: tuple[int, ...] = stdio
        if group is not None:
            message["joins"], descriptors = True, (*stdio, group)
        if server := self._ready(preload):
            try:
                return await server.start(message, descriptors, on_exit)
            except LostError:
                pass  # what it had begun has ended with it
        return await self._server.start(message, descriptors, on_exit)

    def _ready(self, preload: Preload | None) -> _Channel | None:
        begun = self._preloaded.get(preload) if preload else None
        if begun is None or not begun.done() or begun.cancelled() or begun.exception():
            return None
        return None if begun.result().lost else begun.result()

    def signal(self, started: Started, number: int) -> None:
        """Signal the process group of a task, if it still runs."""
        started.server.signal(started.id, number)

    def tcp_socket(self) -> socket.socket:
        """A new TCP socket in the network of the run's tasks, not connected."""
        return self._from_gate("socket") if self.isolated else socket.socket()

    def diagnosis_socket(self) -> socket.socket:
        """A new sock_diag socket of the same network. Raises OSError if it is refused."""
        return self._from_gate("diagnosis") if self.isolated else diagnosis_socket()

    def _from_gate(self, op: str) -> socket.socket:
        wire.send(self._gate, {"op": op})
        received = wire.receive(self._gate)
        if received is None:
            raise ConnectionError("the run's network is gone")
        if received[0]["op"] == "failed":
            raise OSError(received[0]["error"])
        return socket.socket(fileno=received[1][0])

    async def close(self) -> None:
        """End every process that was started here, whatever it does against it.

        What the kernel does not let end is waited for `2 * END_S` at most, and is left.
        """
        for begun in self._preloaded.values():
            begun.cancel()
        done = await asyncio.gather(*self._preloaded.values(), return_exceptions=True)
        for channel in [one for one in done if isinstance(one, _Channel)]:
            channel.close()
        self._server.close()
        self._gate.close()
        os.close(self._null)
        await asyncio.to_thread(self._end_process)

    def _end_process(self) -> None:
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
