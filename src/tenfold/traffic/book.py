"""Which task an address belongs to.

Names of hosts are looked up when an address turns up that nobody is known to have: in a
container's network a name is known only while its container runs, and may move.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tenfold.frameworks.ranks import host_of, is_loopback
from tenfold.traffic.sockets import Address

_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One address of one task."""

    task: str
    host: str
    port: int


Resolve = Callable[[str], Iterable[str]]
"""The IP addresses behind a host's name; none if it means nothing now."""


def resolve(host: str) -> list[str]:
    """What the system says that a name means."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(address[0]) for *_, address in found})


class AddressBook:
    """The addresses of a run's tasks.

    Attributes:
        apart: every task has a host of its own, so that any port of it is the task's.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        *,
        apart: bool = False,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.apart = apart
        self._resolve = resolve
        self._clock = clock
        self._entries: dict[str, list[Entry]] = {}
        self._tried = -_AGAIN_S
        self._ports: dict[Address, str] = {}
        self._hosts: dict[str, str] = {}
        self._local: dict[int, str] = {}
        """Tasks by port, where they are on loopback."""
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Know one address more."""
        if is_loopback(entry.host):
            self._local[entry.port] = entry.task
        elif entry not in self._entries.setdefault(entry.host, []):
            self._entries[entry.host].append(entry)

    def task_at(self, address: Address) -> str | None:
        """The task that listens at `address`, or whose host it is; None: nobody's."""
        found = self._known(address)
        if found is None and self._entries and self._clock() - self._tried >= _AGAIN_S:
            self._look_up()
            found = self._known(address)
        return found

    def _known(self, address: Address) -> str | None:
        host, port = address
        if found := self._ports.get(address):
            return found
        if is_loopback(host):
            return self._local.get(port)
        return self._hosts.get(host) if self.apart else None

    def is_ours(self, host: str) -> bool:
        """Whether a task is at this IP address."""
        return host in self._hosts or (is_loopback(host) and bool(self._local))

    def _look_up(self) -> None:
        self._tried = self._clock()
        for host, entries in self._entries.items():
            for address in self._resolve(host):
                for entry in entries:
                    self._ports[address, entry.port] = entry.task
                    self._hosts[address] = entry.task


def entries_of(addresses: Mapping[str, Sequence[str]]) -> Iterator[Entry]:
    """One entry for each task, from `host:port` by job, in the order of the index."""
    for job, own in addresses.items():
        for index, address in enumerate(own):
            yield Entry(f"{job}/{index}", host_of(address), int(address.rpartition(":")[2]))
