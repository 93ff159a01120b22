"""Who is not to reach a cluster, for real: another machine's programs, and another user.

The other machine is a network namespace of the test's own, joined to this machine's network by a
veth pair, as containers are. It has a route to all of this machine's addresses. It needs root and
the program `ip`; without them the tests that need it are skipped, and say so.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import re
import select
import shutil
import socket
import subprocess
import traceback
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tenfold.launch import namespace
from tests.conftest import survivors

NOBODY = 65534
LISTENING = "0A"
_PATIENCE_MS = 5000
"""Nothing is heard of any connection for so long: a busy machine takes more than one second."""

second_network = os.geteuid() == 0 and shutil.which("ip") is not None

needs_root = pytest.mark.skipif(
    not second_network,
    reason="a second network and a second user take root and the program ip (iproute2)",
)

Target = tuple[str, int]


def listening(run_directory: Path) -> set[tuple[int, int]]:
    """Family and port of every TCP socket on which a process of the run listens.

    From the kernel's tables of the network each process is in, by the inodes of its own sockets.
    """
    found = set()
    for pid in survivors(run_directory):
        inodes = set()
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.add(os.readlink(entry))
        for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == LISTENING and f"socket:[{inode}]" in inodes:
                    found.add((int(family), int(local.rpartition(":")[2], 16)))
    return found


def of_others(ports: Collection[int]) -> set[int]:
    """Those of the ports of a namespace on which something outside listens too, as in other lanes.

    Whoever connects to such a port reaches the other listener.
    """
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    taken = {
        int(local.rpartition(":")[2], 16) for _, local, _, state, *_ in lines if state == LISTENING
    }
    return taken & set(ports)


def addresses() -> set[str]:
    """Every address of this machine, IPv4 and IPv6, loopback included."""
    known = (a for some in psutil.net_if_addrs().values() for a in some)
    return {a.address for a in known if a.family in (socket.AF_INET, socket.AF_INET6)}


def reached(hosts: Collection[str], ports: Collection[int]) -> set[Target]:
    """Those of all pairs that take a connection from where this process is."""
    waiting: dict[int, tuple[socket.socket, Target]] = {}
    poll = select.poll()
    found = set()
    for host in hosts:
        for port in ports:
            # bytes: for text Python imports a codec, from where nobody may read
            found_at = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM)
            family, _, _, _, place = found_at[0]
            client = socket.socket(family)
            client.setblocking(False)
            if client.connect_ex(place) in (0, errno.EINPROGRESS):
                waiting[client.fileno()] = client, (host, port)
                poll.register(client, select.POLLOUT)
            else:
                client.close()
    while waiting and (events := poll.poll(_PATIENCE_MS)):
        for number, _ in events:
            client, target = waiting.pop(number)
            poll.unregister(number)
            with client:
                if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    found.add(target)
    for client, _ in waiting.values():
        client.close()
    return found


def elsewhere(ask: Callable[[], set[Target]], become: Callable[[], None]) -> set[Target]:
    """What `ask` finds in a process that has done `become` first."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            become()
            os.write(write, json.dumps(sorted(ask())).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    assert text, "the stranger could not even try"
    return {(host, port) for host, port in json.loads(text)}


def reached_by_nobody(ports: Collection[int]) -> set[Target]:
    """What another user of this machine reaches."""

    def become() -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)

    return elsewhere(lambda: reached(addresses(), ports), become)


class Cable(NamedTuple):
    """A veth pair: the names of its ends and their addresses, this machine's first."""

    here: str
    there: str
    ipv4: tuple[str, str]
    ipv6: tuple[str, str]

    @classmethod
    def numbered(cls, pid: int) -> Cable:
        """The cable of the second machine that this process keeps. No two lanes share addresses.

        198.18.0.0/15 is for measurements between networks (RFC 2544) and holds 32768 pairs.
        """
        number = pid % 32768
        ipv4 = ipaddress.IPv4Address("198.18.0.0") + 4 * number
        ipv6 = ipaddress.IPv6Address(f"fd5e:c0de:0:{number:x}::")
        return cls(
            f"tf{pid}a",
            f"tf{pid}b",
            (str(ipv4 + 1), str(ipv4 + 2)),
            (str(ipv6 + 1), str(ipv6 + 2)),
        )


@contextlib.contextmanager
def second_machine() -> Iterator[Callable[[Collection[int]], set[Target]]]:
    """A network beside this machine's; gives a function: which pairs are reached from there."""
    ready, made = os.pipe(), os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            namespace.enter_new_network()
            os.write(ready[1], b"1")
            os.close(made[1])
            os.read(made[0], 1)  # until the test ends, or dies: the network goes with this process
        finally:
            os._exit(0)
    os.close(made[0])
    os.close(ready[1])
    cable = Cable.numbered(keeper)
    try:
        assert os.read(ready[0], 1), "the second network could not be made"
        _join(cable, keeper)
        with open(f"/proc/{keeper}/ns/net", "rb") as network:

            def asked(ports: Collection[int]) -> set[Target]:
                hosts = {re.sub("%.*", f"%{cable.there}", address) for address in addresses()}
                assert {cable.ipv4[0], cable.ipv6[0]} <= hosts
                return elsewhere(
                    lambda: reached(hosts, ports),
                    lambda: namespace.join(network.fileno(), namespace.CLONE_NEWNET),
                )

            yield asked
    finally:
        for end in (ready[0], made[1]):
            os.close(end)
        os.waitpid(keeper, 0)
        subprocess.run(["ip", "link", "del", cable.here], capture_output=True, check=False)


def _join(cable: Cable, keeper: int) -> None:
    """Lay a cable between this machine's network and the keeper's, and routes over it."""
    here = [
        f"link add {cable.here} type veth peer name {cable.there} netns {keeper}",
        f"addr add {cable.ipv4[0]}/30 dev {cable.here}",
        f"-6 addr add {cable.ipv6[0]}/64 dev {cable.here} nodad",
        f"link set {cable.here} up",
    ]
    there = [
        f"addr add {cable.ipv4[1]}/30 dev {cable.there}",
        f"-6 addr add {cable.ipv6[1]}/64 dev {cable.there} nodad",
        f"link set {cable.there} up",
        f"route add default via {cable.ipv4[0]} dev {cable.there}",
        f"-6 route add default via {cable.ipv6[0]} dev {cable.there}",
    ]
    for words in here:
        subprocess.run(["ip", *words.split()], check=True)
    for words in there:
        subprocess.run(
            ["nsenter", f"--net=/proc/{keeper}/ns/net", "ip", *words.split()], check=True
        )
