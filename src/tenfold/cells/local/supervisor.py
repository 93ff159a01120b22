"""The local cell: each task is a process in a namespace of the run's own.

All of them run on this machine.

Owns ports, addresses, the relays to pages, and the launch server. Where the machine refuses a
namespace, tasks share the machine's network, ports are held, and what is bound to every interface
is turned to loopback (`launch.isolation`); where it refuses that too, nothing starts that listens,
unless the file or whoever starts it says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tenfold.base.procfs import is_alive
from tenfold.cells import Ended, Handlers, Placed, Protection, SupervisorSide, Wishes
from tenfold.cells.local.forking import Forking
from tenfold.cells.local.ports import MAIN, Ports, choose
from tenfold.cells.local.protection import protection, require_protection
from tenfold.cells.local.ready_command import try_command
from tenfold.cells.local.relay import Relay, connect
from tenfold.errors import TenfoldError
from tenfold.frameworks import framework
from tenfold.launch import isolation
from tenfold.launch.channel import SpawnError, Started
from tenfold.launch.client import LaunchClient
from tenfold.launch.diskwatch import DiskWatch
from tenfold.launch.preloads import Preload
from tenfold.launch.survivors import end_survivors
from tenfold.planning.plan import Bound, Plan, ReadinessCheck, Task
from tenfold.run import files
from tenfold.run.rendezvous import announce
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.awaited import AwaitedLine, awaited_line
from tenfold.tasks.capture import Capture, allow_many_files
from tenfold.tasks.environment import task_environment
from tenfold.tasks.memory import MemoryGuard, MemoryWatch
from tenfold.tasks.readiness import answer
from tenfold.tasks.unready import Unready
from tenfold.traffic.book import AddressBook, AddressEntry
from tenfold.traffic.sampler import Network, Sampler, own_network
from tenfold.traffic.sockets import open_sockets

_AT_ONCE = 32
"""The maximum number of concurrent starts."""


@dataclass(slots=True)
class _Live:
    started: Started
    capture: Capture
    bound: Bound
    guard: MemoryGuard
    awaited: AwaitedLine | None = None
    seen: bool = False
    unready: Unready | None = None

    def look(self, stream: str, data: bytes) -> None:
        """Check whether the awaited line came with `data`."""
        if self.awaited is not None and not self.seen:
            if self.unready is not None:
                self.unready.heard(data)
            self.seen = self.awaited.is_in(stream, data)


class LocalCell:
    """See `tenfold.cells.Cell` for what each method promises."""

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        hear: Handlers,
        wishes: Wishes,
    ) -> None:
        self._plan = plan
        self._run = run
        self._hear = hear
        self._isolation = wishes.isolation
        self._framework = framework(plan.framework)
        self._forking = Forking(plan, hear.on_note)
        self._live: dict[str, _Live] = {}
        self._relays: list[Relay] = []
        self._ports = Ports()
        self._disk = DiskWatch(run.path / "tasks", hear.on_disk)
        self._starting = asyncio.Semaphore(_AT_ONCE)
        self._sampler: Sampler | None = None
        self._memory = MemoryWatch()
        self._devnull = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Hold the ports, start the launch server, open the relays."""
        self._way = isolation.find(self._isolation)
        require_protection(self._plan, self._isolation, self._way)
        isolated = self._way.level == "namespace"
        self._ports = choose(self._plan, isolated)
        self._addresses = self._by_job()
        announce(self._run, {task.label: self.address(task) for task in self._plan.tasks})
        self._client = LaunchClient(isolated, filtered=self._way.level == "seccomp")
        await self._client.open(lambda: on_lost(self._client.how_it_ended()))
        allow_many_files()
        self._memory.open([task.memory for task in self._plan.tasks])
        self._sampler = Sampler(self._run, self._networks())
        self._sampler.open()
        await self._open_relays()
        return protection(self._plan, self._way)

    def _by_job(self) -> dict[str, list[str]]:
        addresses: dict[str, list[str]] = {}
        for task in self._plan.tasks:
            addresses.setdefault(task.job, []).append(self.address(task))
        return addresses

    def _book(self, network: str) -> AddressBook:
        """Addresses of tasks in the run's network (`cluster`) or the host's (`host`)."""
        return AddressBook(
            AddressEntry(task.name, "127.0.0.1", port)
            for task in self._plan.tasks
            if not self._client.isolated or task.network == network
            for port in self._ports.of[task.name].values()
        )

    def _networks(self) -> list[Network]:
        """The networks of the tasks, as far as this machine reports connections."""
        found: list[Network] = []
        if self._client.isolated:
            with contextlib.suppress(OSError):
                pair = (self._client.diagnosis_socket(), self._client.diagnosis_socket())
                made = Network("cluster", open_sockets(*pair), self._book("cluster"), whole=True)
                found.append(made)
        if not self._client.isolated or any(t.network == "host" for t in self._plan.tasks):
            found += own_network(self._book("host"), whole=False)
        return found

    async def _open_relays(self) -> None:
        if not self._client.isolated:
            return
        for task in self._plan.tasks:
            if task.publish and task.network == "cluster":
                self._ports.release(task)
                for name, port in self._ports.outside[task.name].items():
                    inside = self._ports.of[task.name][name]
                    relay = Relay(port, inside, functools.partial(self._inner_socket, inside))
                    await relay.open()
                    self._relays.append(relay)

    def address(self, task: Task) -> str:
        """The task's address: loopback, in the network of the task."""
        return f"127.0.0.1:{self._ports.of[task.name][MAIN]}"

    def urls(self, task: Task) -> dict[str, str]:
        """The pages of a task that publishes ports."""
        outside = self._ports.outside.get(task.name, {})
        return {name: f"http://127.0.0.1:{port}/" for name, port in outside.items()}

    async def start(self, task: Task) -> Placed:
        """Start the task's command, its output captured."""
        bound = self._bound(task)
        if not self._framework_holds(task, bound.env):
            self._ports.release(task)
        preload = await self._forking.preload(task, bound, self._client)
        async with self._starting:  # a few at a time, so that much else has its turn
            started = await self._spawn(task, bound, preload)
        return Placed(started.pid, socket.gethostname())

    async def _spawn(self, task: Task, bound: Bound, preload: Preload | None) -> Started:
        directory = self._run.task(task.label)
        awaited = awaited_line(bound)
        try:
            files.make_directory(directory.path)
            capture = Capture(
                directory,
                lambda *piece: live.look(*piece),
                self._plan.log_limit,
                self._disk.hear,
                tasks=len(self._plan.tasks),
            )
        except OSError as error:
            raise SpawnError(f"its output cannot be captured: {error.strerror}") from error
        guard = None
        try:
            guard = self._memory.begin(task.label, task.memory)
            started = await self._client.spawn(
                bound.command,
                bound.env,
                Path(bound.workdir),
                (self._devnull, *capture.write_ends),
                lambda status: self._exited(task.name, status),
                task.network,
                preload,
                guard.entry,
                lambda status: self._hear.on_left(task.name, _ended(status)),
            )
        except BaseException:
            capture.close()
            if guard is not None:
                guard.end()
            raise
        guard.began()
        live = self._live[task.name] = _Live(started, capture, bound, guard, awaited)
        live.unready = Unready(directory) if bound.ready is not None else None
        capture.start()
        if self._sampler is not None:
            self._sampler.begin(task.name, started.pid)
        return started

    def _bound(self, task: Task) -> Bound:
        return task_environment(
            self._plan,
            task,
            self._addresses,
            self._ports.of[task.name],
            self._run,
            os.environ,
        )

    def _framework_holds(self, task: Task, environment: dict[str, str]) -> bool:
        """Whether the task joins a port that is still held.

        If so, this is added to its environment.
        """
        joins = self._framework.holds_ports()
        member = self._framework.environment(task.job, task.index, self._addresses)
        if self._client.isolated or not joins or not member:
            return False
        environment.update(joins)
        return True

    def _exited(self, name: str, status: int) -> None:
        live = self._live.pop(name, None)
        if live is None:
            return  # its start was given up before it was told
        if self._sampler is not None:
            self._sampler.end(name)
        if live.unready is not None:
            live.unready.clear()
        live.capture.close()
        ended = _ended(status)
        if words := live.guard.end(ended.exit_code, ended.signal):
            ended = replace(ended, reason=words, cause="oom")
        self._hear.on_exit(name, ended)

    def signal(self, task: Task, number: int) -> None:
        """Signal the task's process group."""
        if live := self._live.get(task.name):
            live.guard.killed |= number == signal.SIGKILL
            self._client.signal(live.started, number)

    async def is_ready(self, task: Task) -> bool:
        """Check the task's port, page, command or output line once."""
        live = self._live.get(task.name)
        ready = live.bound.ready if live else None
        if live is None or ready is None or live.unready is None:
            return False
        port = self._ports.of[task.name].get(ready.port or MAIN)
        if live.seen or (ready.kind != "log" and await self._try_telling(task, live, ready, port)):
            live.unready.clear()
            return True
        if live.unready.due():
            await asyncio.to_thread(live.unready.tell, ready, live.started.pid, port)
        return False

    async def _try_telling(
        self, task: Task, live: _Live, ready: ReadinessCheck, port: int | None
    ) -> bool:
        attempt = self._try(task, live, ready, port)
        if live.unready is None or ready.kind != "command":
            return await attempt
        return await live.unready.telling(attempt, ready, live.started.pid, port)

    async def _try(self, task: Task, live: _Live, ready: ReadinessCheck, port: int | None) -> bool:
        said = live.unready
        try:
            if said is None:
                return False
            if ready.kind == "command":
                ended_well, said.answer = await try_command(
                    self._client, task, live.bound, ready, self._devnull
                )
                return ended_well
            said.answer = None
            if port is None:
                return False
            made = await connect(self._socket(task, port), port)
            with made:
                said.answer = await answer(made, ready.target) if ready.kind == "http" else None
                return said.answer is None
        except (OSError, TimeoutError, TenfoldError):
            return False

    def _socket(self, task: Task, port: int) -> socket.socket:
        if task.network == "cluster":
            return self._inner_socket(port)
        return self._marked(socket.socket(), port)

    def _inner_socket(self, port: int) -> socket.socket:
        return self._marked(self._client.tcp_socket(), port)

    def _marked(self, made: socket.socket, port: int) -> socket.socket:
        if self._sampler is not None:
            self._sampler.mark(made, port)
        return made

    async def close(self) -> None:
        """End every process of the run, then the relays and ports.

        It takes no longer for a process that the kernel does not let end; that is named.
        """
        if hasattr(self, "_client"):
            await self._client.close()
            if not self._client.isolated:
                await asyncio.to_thread(end_survivors, self._run)
        if self._sampler is not None:
            await self._sampler.close()
        self._tell_left()
        for live in self._live.values():
            live.capture.close()
            live.guard.end()
        self._live.clear()
        self._disk.close()
        await self._memory.close()
        for relay in self._relays:
            await relay.close()
        self._ports.close()
        with contextlib.suppress(OSError):
            os.close(self._devnull)

    def _tell_left(self) -> None:
        """Report the killed tasks that the kernel does not let end."""
        left = {name: live.started.pid for name, live in self._live.items()}
        if words := ", ".join(f"{name} (pid {pid})" for name, pid in left.items() if is_alive(pid)):
            self._hear.on_note(
                f"killed, but still running when the run ended: {words}",
                "ps -o pid,stat,wchan: D waits in the kernel, for a dead disk say",
            )


def _ended(status: int) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    return Ended(code) if code >= 0 else Ended(None, -code)


class LocalSupervisor(SupervisorSide):
    """Processes of this machine."""

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> LocalCell:
        """The cell of one run."""
        return LocalCell(plan, run, hear, wishes)


SUPERVISOR = LocalSupervisor()
