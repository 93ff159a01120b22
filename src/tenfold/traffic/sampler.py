"""Sampling: once a second, what every task has sent to whom, and what it uses.

Never more than a hundredth of one core: if a sample costs more than ten milliseconds, the next one
waits longer. Trouble of any kind costs samples, never the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenfold.rundir import RunDirectory
from tenfold.traffic.book import AddressBook
from tenfold.traffic.ledger import Ledger, View
from tenfold.traffic.processes import Processes
from tenfold.traffic.samples import SampleLog, last_sample
from tenfold.traffic.sockets import ProcSockets, Seen, Sockets, open_sockets

INTERVAL_S = 1.0
SHARE = 0.01
"""How much of one core sampling may take."""

_NEWS = 0.2
"""Weight of the last sample in the mean cost of one."""

_OWN = 4096
"""So many of tenfold's own last connections are kept in mind."""

_SEARCH_S = 5.0
_LAST_NEWS_S = 0.05
"""How long the kernel may take to tell of connections that ended with their processes."""


@dataclass(slots=True)
class Network:
    """One network that tasks of the run are in.

    Attributes:
        whole: nothing but this run is in it.
    """

    name: str
    sockets: Sockets | ProcSockets
    whole: bool
    heard: list[Seen] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a task's samples go."""

    traffic: SampleLog
    usage: SampleLog


class Sampler:
    """Samples the tasks that were begun, from `open` to `close`.

    `told_elsewhere` says of an IP address whether whatever has no name there is a task that
    another sampler sees, as on a host that tasks of one run share.
    """

    def __init__(
        self,
        run: RunDirectory,
        book: AddressBook,
        networks: Sequence[Network],
        *,
        told_elsewhere: Callable[[str], bool] = lambda _: False,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._run = run
        self._book = book
        self._networks = networks
        self._told_elsewhere = told_elsewhere
        self._interval_s = interval_s
        self._processes = Processes(str(run.path))
        self._ledger = Ledger()
        self._folders: dict[str, Folder] = {}
        self._owners: dict[int, str] = {}
        self._own: deque[tuple[int, int]] = deque(maxlen=_OWN)
        self._searched = 0.0
        self._going: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def open(self) -> None:
        """Begin to sample."""
        loop = asyncio.get_running_loop()
        for network in self._networks:
            if network.whole and isinstance(network.sockets, Sockets):
                loop.add_reader(network.sockets, self._hear, network)
        self._going = asyncio.create_task(self._go())

    def begin(self, task: str, pid: int) -> None:
        """`task` (`worker/3`) runs as the process `pid` of this /proc."""
        used_s = 0.0
        if task not in self._folders:
            directory = self._run.task(task.replace("/", "-"))
            self._folders[task] = Folder(SampleLog(directory.traffic), SampleLog(directory.usage))
            used_s = _number(last_sample(directory.usage).get("cpu_s"))
            self._ledger.go_on(task, _peers(last_sample(directory.traffic)))
        self._processes.begin(task, pid, used_s)

    def end(self, task: str) -> None:
        """`task` has ended."""
        self._processes.end(task)

    def _hear(self, network: Network) -> None:
        """Take the news of closed connections before the kernel has no more room for it."""
        network.heard += network.sockets.closed()

    async def _go(self) -> None:
        cost_s = 0.0  # a mean: a first look at everything, or one search, is no reason to wait
        while not self._wake.is_set():
            cost_s += _NEWS * (await asyncio.to_thread(self._sample_safely) - cost_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(self._interval_s, cost_s / SHARE))

    async def close(self) -> None:
        """Take the last sample, of what has ended too, and stop."""
        self._wake.set()
        if self._going is None:
            return
        await self._going
        loop = asyncio.get_running_loop()
        await asyncio.sleep(_LAST_NEWS_S)
        for network in self._networks:
            if network.whole and isinstance(network.sockets, Sockets):
                loop.remove_reader(network.sockets)
        await asyncio.to_thread(self._sample_safely)
        for network in self._networks:
            network.sockets.close()

    def _sample_safely(self) -> float:
        """One sample; gives the CPU seconds that it took."""
        began = time.thread_time()
        with contextlib.suppress(OSError):
            self.sample(time.time())
        return time.thread_time() - began

    def sample(self, now: float) -> None:
        """Look at everything once, and write down what has changed."""
        if now - self._searched >= _SEARCH_S:
            self._search(now)
        for network in self._networks:
            self._look(network, now)
        self._write(now)

    def _search(self, now: float) -> None:
        self._searched = now
        self._processes.search()
        self._owners = self._processes.sockets()

    def _look(self, network: Network, now: float) -> None:
        seen = network.sockets.look()
        if self._ledger.unowned(network.name, seen, self._owners):
            self._search(now)
        heard, network.heard = network.heard, []
        closed = [*heard, *network.sockets.closed()]
        view = View(
            owner=self._owners.get,
            task_at=self._book.task_at,
            whole=network.whole,
            told_elsewhere=self._told_elsewhere,
            ignored=self._is_own,
        )
        self._ledger.look(network.name, seen, view)
        self._ledger.close(network.name, closed, view)

    def mark(self, made: socket.socket, port: int) -> None:
        """What `made` carries, once it is connected to `port` of its loopback, is tenfold's own:
        a probe, or the relay to a page. Binds the socket."""
        made.bind(("127.0.0.1", 0))
        self._own.append((made.getsockname()[1], port))

    def _is_own(self, one: Seen) -> bool:
        ports = (one.local[1], one.remote[1])
        return ports in self._own or ports[::-1] in self._own

    def _write(self, now: float) -> None:
        now = round(now, 3)
        for task in self._ledger.changed():
            folder = self._folders.get(task)
            if folder is not None:
                peers = {p: t.to_json() for p, t in sorted(self._ledger.totals[task].items())}
                folder.traffic.write({"time": now, "peers": peers})
        for task, usage in self._processes.usage().items():
            self._folders[task].usage.write({
                "time": now,
                "cpu_s": usage.cpu_s,
                "memory": usage.memory,
                "processes": usage.processes,
            })  # fmt: skip


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _peers(sample: Mapping[str, Any]) -> dict[str, list[int | None]]:
    """The totals in a sample of whoever sampled this task before; what is damaged left out."""
    peers = sample.get("peers")
    if not isinstance(peers, dict):
        return {}
    return {p: total for p, total in peers.items() if isinstance(total, list) and len(total) == 4}


def own_network(*, whole: bool) -> list[Network]:
    """The network that this process is in; none where nothing can be seen of it."""
    try:
        return [Network("own", open_sockets(), whole)]
    except OSError:
        return []
