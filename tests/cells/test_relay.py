"""The relay to a page: bytes, and the ends of them, pass unchanged."""

from __future__ import annotations

import asyncio
import socket

from tenfold.cells.relay import Relay
from tenfold.rendezvous import hold_port


def test_half_closed_connections_pass() -> None:
    """A client that ends its half still gets the whole answer."""

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper() * 10_000)
        await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(shout, "127.0.0.1", 0)
        inside = server.sockets[0].getsockname()[1]
        held = hold_port()
        held.release()
        relay = Relay(held.port, inside, socket.socket)
        await relay.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", held.port)
        writer.write(b"hello")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 10) == b"HELLO" * 10_000
        writer.close()
        await relay.close()
        server.close()
        held.close()

    asyncio.run(run())
