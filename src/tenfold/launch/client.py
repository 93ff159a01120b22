"""The supervisor's end of the launch server: start, signal and watch tasks.

It reports every exit.

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
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tenfold.base.interpreter import own
from tenfold.base.quantities import limit_text
from tenfold.errors import TenfoldError
from tenfold.launch import wire
from tenfold.launch.channel import (
    Channel,
    Ends,
    ExitCallback,
    LostError,
    PreloadError,
    SpawnError,
    Started,
)
from tenfold.launch.preloads import Preload
from tenfold.launch.tasks import MARK
from tenfold.traffic.sockets import diagnosis_socket

_HELLO_S = 30.0
_PRELOAD_S = 120.0
_MIND_S = 0.5
_LAST_WORD_S = 1.0
END_S = 5.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7)


class LaunchClient:
    """One launch server, the preloaded ones below it, and everything they started.

    After `open` it serves; after `close` no process of it is left.
    """

    def __init__(self, isolated: bool, filtered: bool = False) -> None:
        """`isolated`: tasks get namespaces.

        `filtered`: their binds are answered (`binds`).
        """
        self.isolated = isolated
        self._filtered = filtered
        self._ids = itertools.count(1)
        self._preloaded: dict[Preload, asyncio.Task[Channel]] = {}
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    async def open(self, on_lost: Callable[[], None]) -> None:
        """Start the server and wait for its first message.

        `on_lost` is called if the server ends unasked.
        """
        connection, requests = socket.socketpair()
        self._sockets, sockets = socket.socketpair()
        gate, outside = socket.socketpair()
        mode = "namespace" if self.isolated else "seccomp" if self._filtered else "none"
        with requests, sockets, outside:
            inherited = (requests.fileno(), sockets.fileno(), outside.fileno())
            self._process = subprocess.Popen(
                own("tenfold.launch.server", *map(str, inherited), mode),
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={name: value for name, value in os.environ.items() if name != MARK},
            )
        self._server = Channel(connection, on_lost)
        self._gate = Channel(gate, lambda: None)
        self._minding = asyncio.create_task(self._mind())
        hello = await asyncio.wait_for(self._server.hello(), _HELLO_S)
        if "error" in hello:
            raise TenfoldError("the launch server could not start", hint="see supervisor.log")

    async def _mind(self) -> None:
        """Continue the server if it was stopped.

        Without a namespace, a task can stop it.
        """
        while True:
            await asyncio.sleep(_MIND_S)
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG):
                    self._process.send_signal(signal.SIGCONT)

    def how_it_ended(self) -> str:
        """Why the launch server ended without being closed, for use in a sentence."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(_LAST_WORD_S)
            if code < 0:
                name = signal.Signals(-code).name
                who = (
                    "a program of this user, possibly a task, or the kernel because memory ran out"
                )
                return f"the launch server was killed by {name} ({who}), and all tasks with it"
        return "the launch server ended"

    async def preload(self, wanted: Preload, room_for: Mapping[str, str]) -> frozenset[str]:
        """Prepare the process `wanted` to fork tasks from.

        The first caller starts it.

        Gives the top-level modules that it has imported and a script could replace. `room_for` is a
        task's whole environment. Raises PreloadError if there is none to be had, now and at every
        later call.
        """
        if wanted not in self._preloaded:
            begun = self._begin_preload(wanted, room_for)
            self._preloaded[wanted] = asyncio.create_task(begun)
        return (await asyncio.shield(self._preloaded[wanted])).modules

    async def _begin_preload(self, wanted: Preload, room_for: Mapping[str, str]) -> Channel:
        ours, theirs = socket.socketpair()
        status: list[int] = []

        def ended(code: int) -> None:
            status.append(code)
            self._server.lose_starts(list(channel.asked))

        def left(code: int) -> None:
            ended(code)
            self.signal(started, signal.SIGKILL)  # what the import started, and nobody's task

        message = self._message(
            "preload",
            wanted.argv(),
            wanted.environment(room_for),
            wanted.directory,
            wanted.network,
        )
        channel = Channel(ours, lambda: self._forget(wanted))
        try:
            with theirs:
                stdio = (self._null, 1, 2)  # what an import says goes to the supervisor's log
                more = {"serves": theirs.fileno()}
                ends = Ends(ended, left)
                started = await self._start(message, stdio, more, ends, self._forker(wanted))
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

    def _forker(self, wanted: Preload | str) -> Channel:
        """The channel of the process that forks for this network.

        The launch server is in the run's network.
        """
        network = wanted if isinstance(wanted, str) else wanted.network
        return self._gate if self.isolated and network == "host" else self._server

    async def _start(
        self,
        message: wire.Message,
        stdio: tuple[int, int, int],
        more: Mapping[str, int],
        ends: Ends,
        forker: Channel,
    ) -> Started:
        """Start what `message` describes, with further descriptors by name.

        For the names see `birth.named`.
        """
        if not self.isolated:
            message["with"] = [*more]
            answer = await self._server.start(message, (*stdio, *more.values()), ends, forker)
            return Started(message["id"], answer["pid"], self._server)
        ours, theirs = socket.socketpair()
        with ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            with theirs:
                named = {"birth": theirs.fileno(), **more}
                message["with"] = [*named]
                sent = (*stdio, *named.values())
                await self._server.start(message, sent, ends, forker)
            return Started(message["id"], _sender(ours), self._server)

    async def _hello_of(self, channel: Channel, started: Started) -> wire.Message:
        try:
            return await asyncio.wait_for(channel.hello(), _PRELOAD_S)
        except TimeoutError:
            self._server.signal(started.id, signal.SIGKILL)
            raise PreloadError(f"the import took longer than {limit_text(_PRELOAD_S)}") from None

    async def _why(self, hello: wire.Message, status: list[int]) -> str:
        """Why a preload process ended: its own message, or how it died."""
        if "error" in hello and hello["op"] == "hello":
            return str(hello["error"])
        for _ in range(100):
            if status:
                code = os.waitstatus_to_exitcode(status[0])
                return f"it was killed by signal {-code}" if code < 0 else f"it exited with {code}"
            await asyncio.sleep(0.01)
        return "it ended"

    def _forget(self, wanted: Preload) -> None:
        """Forget a preload process that has ended.

        The next task to need it starts it again.
        """
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
        on_left: ExitCallback | None = None,
    ) -> Started:
        """Start a command. `on_exit` is called once, later.

        Raises SpawnError if the command cannot be started.

        With a `preload` it is forked from that, if it is ready and does not end meanwhile. `group`
        is the `cgroup.procs` of a control group that it enters first. The descriptors of `stdio`,
        and `group`, stay open here and belong to the caller. `on_left` is called at most once,
        before `on_exit`, when the command's own process has ended and others of it have not: it
        ends them, or they are killed at once where there is none.
        """
        more = {} if group is None else {"joins": group}
        ends = Ends(on_exit, on_left)
        forkers = [self._ready(preload), self._forker(network)]
        for forker in [one for one in forkers if one is not None]:
            message = self._message("spawn", argv, env, str(cwd), network)
            try:
                return await self._start(message, stdio, more, ends, forker)
            except LostError:
                if forker is forkers[-1]:
                    raise
        raise AssertionError("somebody forks")

    def _ready(self, preload: Preload | None) -> Channel | None:
        begun = self._preloaded.get(preload) if preload else None
        if begun is None or not begun.done() or begun.cancelled() or begun.exception():
            return None
        return None if begun.result().lost else begun.result()

    def signal(self, started: Started, number: int) -> None:
        """Signal the process group of a task, if it still runs."""
        started.server.signal(started.id, number)

    def tcp_socket(self) -> socket.socket:
        """A new TCP socket in the network of the run's tasks, not connected."""
        return self._from_server("socket") if self.isolated else socket.socket()

    def diagnosis_socket(self) -> socket.socket:
        """A new sock_diag socket of the same network.

        Raises OSError if it is refused.
        """
        return self._from_server("diagnosis") if self.isolated else diagnosis_socket()

    def _from_server(self, op: str) -> socket.socket:
        wire.send(self._sockets, {"op": op})
        received = wire.receive(self._sockets)
        if received is None:
            raise ConnectionError("the network of the run is gone")
        if received[0]["op"] == "failed":
            raise OSError(received[0]["error"])
        return socket.socket(fileno=received[1][0])

    async def close(self) -> None:
        """End every process that was started here, even if it resists.

        What the kernel does not let end is waited for `2 * END_S` at most, and is left.
        """
        self._minding.cancel()
        for begun in self._preloaded.values():
            begun.cancel()
        done = await asyncio.gather(*self._preloaded.values(), return_exceptions=True)
        for channel in [one for one in done if isinstance(one, Channel)]:
            channel.close()
        self._server.close()
        self._gate.close()
        self._sockets.close()
        os.close(self._null)
        await asyncio.to_thread(self._end_process)

    def _end_process(self) -> None:
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)


def _sender(connection: socket.socket) -> int:
    """The pid of the process that sent a byte, as this process counts pids.

    From SCM_CREDENTIALS of unix(7).
    """
    _, credentials, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size))
    return int(_CREDENTIALS.unpack(credentials[0][2][: _CREDENTIALS.size])[0])
