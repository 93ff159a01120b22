"""The TCP connections of one network, with the kernel's byte counts.

Asks the kernel's sock_diag interface (sock_diag(7), linux/inet_diag.h): no privilege is needed,
for anybody's sockets, in the network namespace that the asking socket was made in. A connection
that is closed between two looks is not lost: the kernel tells its last counts to whoever listens
(SKNLGRP_INET_TCP_DESTROY, what `ss -E` shows). Where sock_diag is not to be had, /proc/net/tcp
still names the connections, without bytes. Seen on Linux 6.18.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NETLINK_SOCK_DIAG = 4

_TCPDIAG_GETSOCK, _SOCK_DIAG_BY_FAMILY = 18, 20
"""Requests of sock_diag.

The older request is used, since it is answered for both families in one walk through the kernel's
table, which is what costs. News come as the newer one.
"""

_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE, _ERROR = 3, 2
_INET_DIAG_INFO = 2
_DESTROYED = {6: 1 << 0, 10: 1 << 2}
"""Bits of SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY (1 and 3)."""

ESTABLISHED = 1
_SYN_SENT, _CLOSED, _LISTEN = 2, 7, 10
_CONNECTED = sum(1 << state for state in (1, 4, 5, 8, 9, 11))
"""States in which bytes may have flowed.

These are all but those of listening, opening and waiting.
"""

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBB48xII")
"""The layout of inet_diag_req.

Family, two prefix lengths, attributes wanted, no address, states, a bit field.
"""
_MESSAGE = struct.Struct("=BB2x2s2s16s16s4x8s16xI")
"""inet_diag_msg: family, state, ports, addresses, interface, cookie, …, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120
"""tcpi_bytes_acked and tcpi_bytes_received in tcp_info; there since Linux 4.1."""
_RESENT_AT = 2
"""The offset of tcpi_retransmits in tcp_info.

It counts how many times in a row the oldest byte was sent again without being acknowledged.
"""
_RESENT_IN_VAIN = 4
"""Retransmissions in a row after which a peer counts as cut off.

Of these, the first comes after a fifth of a second or more, and each further one takes twice as
long: 3 s. A peer that does not read, stopped or slow, still acknowledges, since its machine does
that for it.
"""

_BUFFER_BYTES = 1 << 20
_WAIT_S = 1.0

Address = tuple[str, int]
"""IP address and port. IPv4 addresses in IPv6 clothes are shown plain."""


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """One end of a connection, as it was at one look.

    Attributes:
        key: the same at every look at this socket, and of no other socket.
        inode: of the socket, by which its process is found; 0 when no process has it any more.
        sent: bytes the other end has acknowledged; None where they are not counted.
        received: bytes that came; None where they are not counted.
        closed: it is gone, and this is its last account.
        cut: what it sends is not acknowledged any more, for some seconds.
    """

    key: object
    local: Address
    remote: Address
    inode: int
    sent: int | None
    received: int | None
    closed: bool = False
    cut: bool = False


def diagnosis_socket() -> socket.socket:
    """A sock_diag socket of the network that this process is in.

    Raises OSError if it is refused.
    """
    return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG)


class Sockets:
    """The connections of the network that two sock_diag sockets were made in.

    Attributes:
        lost: whether the kernel had to throw away news of closed connections.
    """

    def __init__(self, asking: socket.socket, hearing: socket.socket) -> None:
        self._asking = asking
        self._hearing = hearing
        self.lost = False
        self._turn = 0
        asking.settimeout(_WAIT_S)
        hearing.setblocking(False)
        with contextlib.suppress(OSError):
            hearing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        with contextlib.suppress(OSError):
            hearing.bind((0, sum(_DESTROYED.values())))

    def fileno(self) -> int:
        """Readable when a connection was closed."""
        return self._hearing.fileno()

    def closed(self) -> list[ConnectionEnd]:
        """The connections that were closed since the last call."""
        found: list[ConnectionEnd] = []
        while True:
            try:
                data = self._hearing.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return found
                self.lost = True
                continue
            found += [seen for body in _messages(data) if (seen := _seen(body, closed=True))]

    def look(self) -> list[ConnectionEnd]:
        """All connections there are now.

        Raises OSError if the kernel does not report them.
        """
        body = _REQUEST.pack(socket.AF_INET, 0, 0, 1 << (_INET_DIAG_INFO - 1), _CONNECTED, 0)
        self._turn = (self._turn + 1) & 0xFFFFFFFF
        size = _HEADER.size + len(body)
        self._asking.send(_HEADER.pack(size, _TCPDIAG_GETSOCK, _DUMP, self._turn, 0) + body)
        found: list[ConnectionEnd] = []
        over = False
        while not over:
            data = self._asking.recv(_BUFFER_BYTES)
            if _HEADER.unpack_from(data)[3] != self._turn:
                continue  # what is left of an answer that was given up
            over = _is_last(data)
            found += [seen for message in _messages(data) if (seen := _seen(message))]
        return found

    def close(self) -> None:
        """Close the sockets. Nothing is asked or received after this."""
        self._asking.close()
        self._hearing.close()


def _messages(data: bytes) -> Iterator[bytes]:
    """Bodies of the messages about sockets in one datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        if kind in (_TCPDIAG_GETSOCK, _SOCK_DIAG_BY_FAMILY):
            yield data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def _is_last(data: bytes) -> bool:
    """Whether a dump ends in this datagram. Raises OSError for the kernel's refusal."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if kind == _ERROR:
            number = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
            raise OSError(number, "sock_diag")
        if kind == _DONE or length < _HEADER.size:
            return True
        at += (length + 3) & ~3
    return False


def _seen(body: bytes, *, closed: bool = False) -> ConnectionEnd | None:
    """The content of one inet_diag_msg. None if the socket was never connected."""
    if len(body) < _MESSAGE.size:
        return None
    family, state, near, far, local, remote, cookie, inode = _MESSAGE.unpack_from(body)
    if far == b"\0\0" or state in (_LISTEN, _SYN_SENT):
        return None
    size = 4 if family == socket.AF_INET else 16
    acked, received, resent = _counts(body)
    if acked is not None and received is not None:
        # The kernel counts the end of a connection as a byte, both ways, and its opening as one
        # that its opener sent. Who opened it is not told: the other one's count is a byte short.
        acked = max(0, acked - (1 if state == ESTABLISHED else 2))
        received = max(0, received - (0 if state == ESTABLISHED else 1))
    return ConnectionEnd(
        key=cookie,
        local=(_address(local[:size]), int.from_bytes(near, "big")),
        remote=(_address(remote[:size]), int.from_bytes(far, "big")),
        inode=inode,
        sent=acked,
        received=received,
        closed=closed,
        cut=resent >= _RESENT_IN_VAIN,
    )


def _counts(body: bytes) -> tuple[int | None, int | None, int]:
    """Bytes acknowledged, bytes received, and retransmissions in vain.

    The latter are those of the oldest byte.
    """
    at = _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _INET_DIAG_INFO and length >= _ATTRIBUTE.size + _BYTES_AT + _BYTES.size:
            info = at + _ATTRIBUTE.size
            return *_BYTES.unpack_from(body, info + _BYTES_AT), body[info + _RESENT_AT]
        if length < _ATTRIBUTE.size:
            break
        at += (length + 3) & ~3
    return None, None, 0


@lru_cache(maxsize=65_536)
def _address(packed: bytes) -> str:
    """As people write it."""
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


class ProcSockets:
    """The connections of this process's network from /proc/net/tcp.

    It has the ends of the connections, but no byte counts.
    """

    lost = False

    def __init__(self, proc: Path = Path("/proc/self/net")) -> None:
        self._proc = proc

    def closed(self) -> list[ConnectionEnd]:
        """Empty: /proc does not report closed connections."""
        return []

    def look(self) -> list[ConnectionEnd]:
        """All connections there are now. Raises OSError where there is no such file."""
        found = _table(self._proc / "tcp")
        with contextlib.suppress(FileNotFoundError):
            found += _table(self._proc / "tcp6")
        return found

    def close(self) -> None:
        """Nothing is kept open."""


def _table(path: Path) -> list[ConnectionEnd]:
    found = []
    for line in path.read_text().splitlines()[1:]:
        words = line.split()
        state = int(words[3], 16)
        if 1 << state & _CONNECTED:
            ends = _hex_address(words[1]), _hex_address(words[2])
            found.append(ConnectionEnd((*ends, words[9]), *ends, int(words[9]), None, None))
    return found


def _hex_address(text: str) -> Address:
    """`0100007F:1F90` is 127.0.0.1:8080: words in this processor's byte order.

    A word has four bytes.
    """
    host, _, port = text.partition(":")
    words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    return _address(packed), int(port, 16)


def open_sockets(asking: socket.socket | None = None, hearing: socket.socket | None = None
                 ) -> Sockets | ProcSockets:  # fmt: skip
    """The connections of this process's network, or of the given sockets' one.

    Raises OSError where neither sock_diag nor /proc tells of them.
    """
    try:
        made = Sockets(asking or diagnosis_socket(), hearing or diagnosis_socket())
        made.look()
    except OSError:
        if asking is not None:
            raise
        plain = ProcSockets()
        plain.look()
        return plain
    return made
