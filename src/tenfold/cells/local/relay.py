"""Connect a port of this machine's loopback to a port inside a run's network.

A page that runs with the tasks (Jupyter) is reached from the user's browser through this; the
run's other ports stay unreachable. Bytes pass unchanged; tokens and cookies are the page's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

_CHUNK_BYTES = 1 << 16


class Relay:
    """Listens on 127.0.0.1:`port` from `open` to `close`."""

    def __init__(self, port: int, inside: int, make_socket: Callable[[], socket.socket]) -> None:
        self._port = port
        self._inside = inside
        self._make_socket = make_socket
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start listening. Raises OSError if the port is in use."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                inside = await connect(self._make_socket(), self._inside)
                there_reader, there_writer = await asyncio.open_connection(sock=inside)
                try:
                    await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
                finally:
                    there_writer.close()
        finally:
            writer.close()


async def connect(made: socket.socket, port: int) -> socket.socket:
    """Connect `made` to the loopback interface of its own network.

    If that fails, `made` is closed and OSError is raised.
    """
    try:
        made.setblocking(False)
        async with asyncio.timeout(2):
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    except BaseException:
        made.close()
        raise
    return made


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the end, then pass the end on."""
    while data := await reader.read(_CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
