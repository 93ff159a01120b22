"""What the kernel tells of real connections on this machine's loopback."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tenfold.traffic.sockets import (
    Address,
    ConnectionEnd,
    ProcSockets,
    Sockets,
    _seen,
    diagnosis_socket,
    open_sockets,
)
from tests.conftest import wait_for

HERE = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
DATA = b"x" * 100_000


@pytest.fixture
def kernel() -> Iterator[Sockets]:
    made = Sockets(diagnosis_socket(), diagnosis_socket())
    yield made
    made.close()


@pytest.fixture(params=HERE, ids=["ipv4", "ipv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection that has carried `DATA` one way and ten bytes the other."""
    with socket.create_server((HERE[request.param], 0), family=request.param) as server:
        near = socket.create_connection(server.getsockname()[:2])
        far, _ = server.accept()
    near.sendall(DATA)
    got = 0
    while got < len(DATA):
        got += len(far.recv(1 << 16))
    far.sendall(b"0123456789")
    assert near.recv(10) == b"0123456789"
    yield near, far
    near.close()
    far.close()


def _ends(
    seen: list[ConnectionEnd], local: Address, remote: Address
) -> tuple[ConnectionEnd, ConnectionEnd]:
    """Each end, as it was seen."""
    by_ends = {(one.local, one.remote): one for one in seen}
    return by_ends[local, remote], by_ends[remote, local]


def test_bytes_of_both_ends(kernel: Sockets, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    local, remote = near.getsockname()[:2], near.getpeername()[:2]
    one, other = _ends(kernel.look(), local, remote)
    assert one.received == 10
    assert other.sent == 9  # one short: of the end that did not open it
    assert (one.sent, other.received) == (len(DATA), len(DATA))
    assert one.inode == _inode(near)
    assert other.inode == _inode(far)
    assert not one.closed


def _inode(made: socket.socket) -> int:
    return os.fstat(made.fileno()).st_ino


def test_a_closed_connection_reports_its_last_bytes(
    kernel: Sockets, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    local, remote = near.getsockname()[:2], near.getpeername()[:2]
    before = _ends(kernel.look(), local, remote)
    near.close()
    far.close()
    heard: list[ConnectionEnd] = []

    def both() -> bool:
        heard.extend(kernel.closed())
        return {(local, remote), (remote, local)} <= {(one.local, one.remote) for one in heard}

    wait_for(both, 5)
    after = _ends(heard, local, remote)
    assert [one.key for one in after] == [one.key for one in before]
    assert all(one.closed for one in after)
    for one, last in zip(before, after, strict=True):
        assert one.sent is not None
        assert last.sent is not None
        assert abs(one.sent - last.sent) <= 1  # the end of a connection counts as a byte
    assert (local, remote) not in {(one.local, one.remote) for one in kernel.look()}


def test_listening_and_unconnected_sockets_are_no_connections(kernel: Sockets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not [one for one in kernel.look() if one.local[1] == port]


def test_ipv4_in_ipv6_is_shown_plain(kernel: Sockets) -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        near = socket.create_connection(("127.0.0.1", server.getsockname()[1]))
        far, _ = server.accept()
    with near, far:
        one, other = _ends(kernel.look(), near.getsockname(), near.getpeername())
        assert one.remote[0] == other.local[0] == "127.0.0.1"


def test_proc_names_the_same_connections(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    local, remote = near.getsockname()[:2], near.getpeername()[:2]
    one, other = _ends(ProcSockets().look(), local, remote)
    assert one.inode == _inode(near)
    assert (one.sent, one.received, other.sent) == (None, None, None)


def test_without_sock_diag_proc_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> socket.socket:
        raise PermissionError(1, "no netlink here")

    monkeypatch.setattr("tenfold.traffic.sockets.diagnosis_socket", refuse)
    assert isinstance(open_sockets(), ProcSockets)


def test_a_message_that_is_cut_short_is_no_connection() -> None:
    assert _seen(b"\2\1") is None
    assert _seen(b"\0" * 72) is None
