"""Sample once a second what every task has sent to whom, and what it uses.

A thread of its own does it, and nothing waits for it but the last sample, for a moment. It takes no
more than a hundredth of one core: if a round costs more than ten milliseconds, the next one waits
longer. Trouble of any kind costs samples, never the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tenfold.base.naming import label_of
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.book import AddressBook, AddressEntry
from tenfold.traffic.ledger import Ledger, View
from tenfold.traffic.processes import Processes
from tenfold.traffic.samples import (
    PeerTotal,
    SampleLog,
    TrafficSample,
    UsageSample,
    last_sample,
)
from tenfold.traffic.sockets import ConnectionEnd, ProcSockets, Sockets, open_sockets

INTERVAL_S = 1.0
SHARE = 0.01
"""The maximum share of one core that sampling may take."""

_MOST_WAIT_S = 30.0
_NEWS = 0.2
"""The weight of the last round in the mean cost of one.

One search is no reason to wait.
"""

_OWN = 4096
"""The number of tenfold's own last connections that are remembered."""

_SEARCH_S = 5.0
_LAST_NEWS_S = 0.05
"""Seconds the kernel may take to report connections of ended processes."""

_END_S = 2.0
"""Seconds that the end of a run waits for the last sample."""


@dataclass(slots=True)
class Network:
    """A network of tasks of the run, and the owners of its addresses.

    Attributes:
        whole: nothing but this run is in it.
    """

    name: str
    sockets: Sockets | ProcSockets
    book: AddressBook
    whole: bool


@dataclass(slots=True)
class _Folder:
    """Where a task's samples are written, and the last state of its peers."""

    traffic: SampleLog
    usage: SampleLog
    peers: Mapping[str, PeerTotal]
    written: float = 0.0


class Sampler:
    """Samples the tasks that have begun, from `open` to `close`.

    `told_elsewhere`: tasks that other samplers see share this one's hosts (see `ledger.View`).
    """

    def __init__(
        self,
        run: RunDirectory,
        networks: Sequence[Network],
        *,
        told_elsewhere: bool = False,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._run = run
        self._networks = networks
        self._told_elsewhere = told_elsewhere
        self._interval_s = interval_s
        self._processes = Processes(str(run.path))
        self._ledger = Ledger()
        self._folders: dict[str, _Folder] = {}
        self._owners: dict[int, str] = {}
        self._neighbours: dict[int, str] = {}
        self._own: dict[tuple[int, int], None] = {}
        self._begun = False
        self._searched = 0.0
        self._sampled = 0.0
        self._told: set[str] = set()
        self._orders: deque[Callable[[], None]] = deque()
        """Orders of other threads, for the thread to carry out before a sample."""
        self._stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._go, name="sampler", daemon=True)

    def open(self) -> None:
        """Start sampling."""
        self._thread.start()

    def begin(self, task: str, pid: int) -> None:
        """Start sampling `task` (`worker/3`), the process `pid` of this /proc."""
        self._orders.append(lambda: self._begin(task, pid))

    def end(self, task: str) -> None:
        """Stop sampling `task`, which has ended."""
        self._orders.append(lambda: self._processes.end(task))

    def know(self, entry: AddressEntry) -> None:
        """Add an address in all networks."""
        self._orders.append(lambda: self._know(entry))

    def mark(self, made: socket.socket, port: int) -> None:
        """Count what `made` carries as tenfold's own traffic.

        It is a probe, or the relay to a page, and will be connected to `port` of its loopback.
        Binds the socket.
        """
        made.bind(("127.0.0.1", 0))
        self._own[made.getsockname()[1], port] = None
        if len(self._own) > _OWN:
            self._own.pop(next(iter(self._own)), None)

    async def close(self) -> None:
        """Take the last sample, and stop. Never raises, and ends soon.

        The last sample includes what has ended.
        """
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _END_S)

    def _go(self) -> None:
        cost_s, began = 0.0, time.thread_time()
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for network in self._networks:
                if network.whole and isinstance(network.sockets, Sockets):
                    selector.register(network.sockets, selectors.EVENT_READ, network)
            while not self._stopping.is_set():
                self._safely("sample", lambda: self.sample(time.time()))
                cost_s += _NEWS * (time.thread_time() - began - cost_s)
                began = time.thread_time()
                wait_s = min(_MOST_WAIT_S, max(self._interval_s, cost_s / SHARE))
                self._listen(selector, time.monotonic() + wait_s)
            self._listen(selector, time.monotonic() + _LAST_NEWS_S)
        self._safely("last sample", lambda: self.sample(time.time()))
        for network in self._networks:
            network.sockets.close()
        self._wake.close()
        self._woken.close()

    def _listen(self, selector: selectors.BaseSelector, until: float) -> None:
        """Read news of closed connections before the kernel runs out of room."""
        stopping = self._stopping.is_set()
        while (left := until - time.monotonic()) > 0 and self._stopping.is_set() == stopping:
            for key, _ in selector.select(left):
                network = key.data
                if network is not None:
                    self._safely("news", lambda network=network: self._hear(network))  # type: ignore[misc]

    def _safely(self, what: str, work: Callable[[], None]) -> None:
        """Do the work. The first error of each type is reported."""
        try:
            work()
        except Exception as error:
            kind = f"{what}: {type(error).__name__}"
            if kind not in self._told:
                self._told.add(kind)
                print(f"traffic: {kind}", file=sys.stderr, flush=True)
                traceback.print_exception(error)

    def sample(self, now: float) -> None:
        """Look at everything once, and record what has changed."""
        while self._orders:
            self._safely("order", self._orders.popleft())
        if self._begun:
            self._begun = False
            self._ledger.reconsider()
        if now - self._searched >= _SEARCH_S or now < self._searched:
            self._search(now)
        for network in self._networks:
            self._safely("look", lambda network=network: self._look(network, now))  # type: ignore[misc]
        self._write(now)

    def _begin(self, task: str, pid: int) -> None:
        used_s = 0.0
        if task not in self._folders:
            directory = self._run.task(label_of(task))
            usage = last_sample(UsageSample, directory.usage)
            used_s = (usage.cpu_s if usage else None) or 0.0
            traffic = last_sample(TrafficSample, directory.traffic)
            peers = traffic.peers if traffic else {}
            self._ledger.go_on(task, peers)
            logs = SampleLog(directory.traffic), SampleLog(directory.usage)
            self._folders[task] = _Folder(*logs, peers)
        self._processes.begin(task, pid, used_s)
        self._searched = 0.0
        self._begun = True

    def _know(self, entry: AddressEntry) -> None:
        for network in self._networks:
            network.book.add(entry)

    def _search(self, now: float) -> None:
        self._searched = now
        self._processes.search()
        self._owners, self._neighbours = self._processes.sockets()

    def _view(self, network: Network) -> View:
        owners, neighbours = self._owners, self._neighbours
        if network.whole:  # nobody else samples it: who is not told of yet will be
            owners, neighbours = {**neighbours, **owners}, {}
        return View(
            owner=owners.get,
            neighbour=neighbours.get,
            book=network.book,
            whole=network.whole,
            told_elsewhere=self._told_elsewhere,
            ignored=self._is_own,
        )

    def _look(self, network: Network, now: float) -> None:
        seen = network.sockets.look()
        if self._ledger.unowned(network.name, seen, {**self._owners, **self._neighbours}):
            self._search(now)
        self._ledger.look(network.name, seen, self._view(network))
        self._hear(network)

    def _hear(self, network: Network) -> None:
        self._ledger.close(network.name, network.sockets.closed(), self._view(network))
        if network.sockets.lost and "lost" not in self._told:
            self._told.add("lost")
            words = (
                "more connections closed at once than the kernel could report: some bytes are lost"
            )
            print(f"traffic: {words}", file=sys.stderr, flush=True)

    def _is_own(self, one: ConnectionEnd) -> bool:
        ports = (one.local[1], one.remote[1])
        return ports in self._own or ports[::-1] in self._own

    def _write(self, now: float) -> None:
        now = round(now, 3)
        for task in self._ledger.changed():
            folder = self._folders.get(task)
            if folder is None:
                self._ledger.keep(task)  # it has begun, and we are not told of it yet
            else:
                self._write_traffic(folder, task, now)
        self._sampled = now
        for task, usage in self._processes.usage().items():
            sample = UsageSample(now, usage.cpu_s, usage.memory, usage.processes)
            self._folders[task].usage.write(sample)

    def _write_traffic(self, folder: _Folder, task: str, now: float) -> None:
        """Write a sample.

        After a silence, the one before it comes first, so that a rate can be computed.
        """
        if folder.peers and folder.written < self._sampled:
            folder.traffic.write(TrafficSample(self._sampled, folder.peers))
        peers, cut = self._ledger.told(task), frozenset(self._ledger.cut(task))
        folder.traffic.write(TrafficSample(now, peers, cut))
        folder.peers, folder.written = peers, now


def own_network(book: AddressBook, *, whole: bool) -> list[Network]:
    """The network of this process. None if nothing can be seen of it."""
    try:
        return [Network("own", open_sockets(), book, whole)]
    except OSError:
        return []
