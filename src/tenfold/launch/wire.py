"""Messages over a unix stream socket: a JSON object and file descriptors.

The descriptors are those that the object refers to.

Each is sent as its length in 8 bytes, which carry the descriptors, and then its text. Owns
nothing of what the messages mean.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

_HEADER = struct.Struct("!Q")
_MOST_DESCRIPTORS = 8
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

Message = dict[str, Any]


def packed(message: Message) -> bytes:
    """`message` as it is sent over the socket."""
    text = json.dumps(message).encode()
    return _HEADER.pack(len(text)) + text


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send `message` whole. Blocks while the peer is slow.

    The descriptors stay open here.
    """
    text = json.dumps(message).encode()
    if descriptors:
        socket.send_fds(connection, [_HEADER.pack(len(text))], list(descriptors))
        connection.sendall(text)
    else:
        connection.sendall(packed(message))


def receive(connection: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors, or None when the peer is gone.

    The descriptors are closed on exec.
    """
    try:
        header, descriptors, _, _ = socket.recv_fds(
            connection, _HEADER.size, _MOST_DESCRIPTORS, _CLOEXEC
        )
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        header += _exactly(connection, _HEADER.size - len(header)) if header else b""
        if not header:
            return None
        return json.loads(_exactly(connection, _HEADER.unpack(header)[0])), descriptors
    except (ConnectionError, EOFError):
        return None


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


class Inbox:
    """Messages without descriptors, assembled from pieces of a socket's data."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes, in order."""
        self._bytes += data
        messages = []
        while (end := self._end()) and len(self._bytes) >= end:
            messages.append(json.loads(self._bytes[_HEADER.size : end]))
            del self._bytes[:end]
        return messages

    def _end(self) -> int:
        if len(self._bytes) < _HEADER.size:
            return 0
        return _HEADER.size + int(_HEADER.unpack_from(self._bytes)[0])
