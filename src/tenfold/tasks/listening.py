"""Where a task's processes listen, from /proc, to explain why it is not ready.

Facts (proc(5)): /proc/PID/net/tcp lists the sockets of that process's network with their inodes,
state 0A being LISTEN; /proc/PID/fd links `socket:[INODE]`; /proc/PID/net/unix has flag 10000 for a
socket that accepts connections. Elsewhere than on Linux nothing is found.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold.base import procfs
from tenfold.debug import processes

_LISTEN = "0A"
_ACCEPTS = 0x10000
_MOST = 5
_ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Listening:
    """TCP addresses, UDP ports and Unix sockets that a task's processes have bound."""

    tcp: tuple[tuple[str, int], ...] = ()
    udp: tuple[int, ...] = ()
    unix: tuple[str, ...] = ()

    @property
    def ports(self) -> list[int]:
        """TCP ports, each once."""
        return sorted({port for _, port in self.tcp})

    @property
    def anywhere(self) -> bool:
        """Whether the task accepts connections on any address."""
        return bool(self.tcp or self.udp or self.unix)

    def words(self, wanted: int, name: str) -> str:
        """Why nothing answers on the port `wanted`, a task's port called `name`."""
        hosts = [host for host, port in self.tcp if port == wanted]
        if hosts:
            where = ", ".join(f"{host} port {wanted}" for host in hosts[:_MOST])
            return f"it listens on {where} but accepts no connection there"
        said = f"nothing listens on its {name} port {wanted}"
        if self.tcp:
            return f"{said}; it listens on {_few(self.ports)}"
        if wanted in self.udp:
            return f"{said} by TCP; it uses that port by UDP"
        if self.unix:
            return f"{said}; it listens on the Unix socket {_few(self.unix)}"
        if self.udp:
            return f"{said} by TCP; it uses {_few(sorted(set(self.udp)))} by UDP"
        return said


def _few(items: Iterable[object]) -> str:
    texts = [str(item) for item in items]
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return ", ".join(texts[:_MOST]) + more


def listening(pid: int, proc: str = "/proc") -> Listening:
    """Where the process `pid` and its descendants listen.

    What cannot be read is left out.
    """
    inodes = {
        str(inode)
        for each in processes.family(proc).of(pid)
        for inode in procfs.socket_inodes(each, proc)
    }
    net = Path(proc, str(pid), "net")
    tcp = [
        (_host(words[1]), _port(words[1]))
        for name in ("tcp", "tcp6")
        for words in _rows(net / name)
        if words[3] == _LISTEN and words[9] in inodes
    ]
    udp = [
        _port(words[1])
        for name in ("udp", "udp6")
        for words in _rows(net / name)
        if words[9] in inodes
    ]
    return Listening(tuple(tcp), tuple(udp), tuple(_unix(net / "unix", inodes)))


def _rows(path: Path) -> list[list[str]]:
    with contextlib.suppress(OSError):
        lines = path.read_text().splitlines()[1:]
        return [words for line in lines if len(words := line.split()) > 9]
    return []


def _unix(path: Path, inodes: set[str]) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines()[1:]:
            words = line.split(maxsplit=7)
            if len(words) > 7 and words[6] in inodes and int(words[3], 16) & _ACCEPTS:
                yield words[7]


def _port(text: str) -> int:
    return int(text.partition(":")[2], 16)


def _host(text: str) -> str:
    """`0100007F` is 127.0.0.1: groups of four bytes in this processor's order."""
    host = text.partition(":")[0]
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed)
