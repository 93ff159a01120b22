"""Messages over a socket: whole, in order, with their descriptors."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from tenfold.launch import wire


def test_messages_and_descriptors_arrive() -> None:
    here, there = socket.socketpair()
    read, write = os.pipe()
    with here, there:
        wire.send(here, {"n": 1}, [write])
        wire.send(here, {"n": 2})
        os.close(write)
        first = wire.receive(there)
        assert first is not None
        assert first[0] == {"n": 1}
        os.write(first[1][0], b"through")
        assert os.read(read, 10) == b"through"
        assert not os.get_inheritable(first[1][0])
        assert wire.receive(there) == ({"n": 2}, [])
        os.close(first[1][0])
        os.close(read)


def test_a_large_message_is_put_together() -> None:
    here, there = socket.socketpair()
    text = "x" * 3_000_000
    with here, there:
        sender = threading.Thread(target=wire.send, args=(here, {"text": text}))
        sender.start()
        assert wire.receive(there) == ({"text": text}, [])
        sender.join()


def test_a_closed_peer_reads_as_none() -> None:
    here, there = socket.socketpair()
    with there:
        here.close()
        assert wire.receive(there) is None
    here, there = socket.socketpair()
    with there:
        here.sendall(b"\0\0\0\0\0\0\0\x50{")
        here.close()
        assert wire.receive(there) is None


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_inbox_takes_any_pieces(size: int) -> None:
    here, there = socket.socketpair()
    messages = [{"n": n, "text": "ü" * n} for n in range(20)]
    with here, there:
        for message in messages:
            wire.send(here, message)
        here.shutdown(socket.SHUT_WR)
        inbox, found = wire.Inbox(), []
        while data := there.recv(size):
            found += inbox.feed(data)
    assert found == messages
