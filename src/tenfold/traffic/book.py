"""Which task an address belongs to.

Names of hosts are looked up when an address turns up that nobody is known to have: in a
container's network a name is known only while its container runs, and may move.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tenfold.frameworks.ranks import host_of, is_loopback
from tenfold.traffic.sockets import Address

_AGAIN_S = 1.0
_FRESH_S = 10.0
"""Seconds after which names are resolved again.

`_AGAIN_S` applies after an address that belongs to nobody, `_FRESH_S` otherwise.
"""

_PATIENCE = 20
"""A look-up that takes long is not repeated before so many times as long."""


@dataclass(frozen=True, slots=True)
class AddressEntry:
    """One address of one task."""

    task: str
    host: str
    port: int


Resolve = Callable[[str], Iterable[str]]
"""The IP addresses behind a host's name; none if it means nothing now."""


def resolve(host: str) -> list[str]:
    """The addresses that the system returns for a name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # it means nothing, or is no name
        return []
    return sorted({str(address[0]) for *_, address in found})


class AddressBook:
    """The addresses of a run's tasks, in one network. Used by one thread."""

    def __init__(
        self,
        entries: Iterable[AddressEntry] = (),
        *,
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._entries: dict[str, list[AddressEntry]] = {}
        self._next = -math.inf
        self._fresh_until = -math.inf
        self._ports: dict[Address, str] = {}
        self._hosts: dict[str, str | None] = {}
        """The task at each IP address, None where there are several."""
        self._local: dict[int, str] = {}
        """Tasks by port, where they are on loopback."""
        for entry in entries:
            self.add(entry)

    def add(self, entry: AddressEntry) -> None:
        """Know one address more."""
        if is_loopback(entry.host):
            self._local[entry.port] = entry.task
        elif entry not in self._entries.setdefault(entry.host, []):
            self._entries[entry.host].append(entry)
            self._fresh_until = -math.inf

    def listener(self, address: Address) -> str | None:
        """The task that is known to listen at `address`."""
        self._look_up_if(self._clock() >= self._fresh_until)
        return self._listener(address)

    def task_at(self, address: Address) -> str | None:
        """The task that listens at `address`, or the only one at its host; None: nobody's."""
        self._look_up_if(self._clock() >= self._fresh_until)
        found = self._known(address)
        if found is None and not is_loopback(address[0]):
            self._look_up_if(True)
            found = self._known(address)
        return found

    def is_ours(self, host: str) -> bool:
        """Whether a task is at this IP address."""
        return host in self._hosts or (is_loopback(host) and bool(self._local))

    def _listener(self, address: Address) -> str | None:
        host, port = address
        return self._ports.get(address) or (self._local.get(port) if is_loopback(host) else None)

    def _known(self, address: Address) -> str | None:
        return self._listener(address) or self._hosts.get(address[0])

    def _look_up_if(self, wanted: bool) -> None:
        began = self._clock()
        if not wanted or not self._entries or began < self._next:
            return
        ports: dict[Address, str] = {}
        hosts: dict[str, str | None] = {}
        for host, entries in self._entries.items():
            for address in self._resolve(host):
                for entry in entries:
                    ports[address, entry.port] = entry.task
                    other = hosts.setdefault(address, entry.task)
                    hosts[address] = entry.task if other == entry.task else None
        self._ports, self._hosts = ports, hosts
        now = self._clock()
        self._next = now + max(_AGAIN_S, _PATIENCE * (now - began))
        self._fresh_until = max(self._next, now + _FRESH_S)


def entries_of(addresses: Mapping[str, Sequence[str]]) -> Iterator[AddressEntry]:
    """One entry for each task, from `host:port` by job, in the order of the index."""
    for job, own in addresses.items():
        for index, address in enumerate(own):
            yield AddressEntry(f"{job}/{index}", host_of(address), int(address.rpartition(":")[2]))
