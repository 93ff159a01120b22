"""The relay to a page: bytes, and the ends of them, pass unchanged."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tenfold.cells.local.relay import Relay, connect
from tenfold.run.rendezvous import hold_port


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


@pytest.mark.parametrize("turns", range(1, 6))
def test_a_try_to_connect_that_is_cancelled_ends(turns: int) -> None:
    """Also if its answer came in the same turn of the loop: `asyncio.wait_for` takes that first."""

    async def cancel_after_turns() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        trying = asyncio.create_task(connect(socket.socket(), port))
        for _ in range(turns):
            await asyncio.sleep(0)
        over = trying.done()
        trying.cancel()
        done, _ = await asyncio.wait({trying}, timeout=10)
        assert done
        assert trying.cancelled() or over
        if not trying.cancelled():
            assert isinstance(trying.exception(), ConnectionRefusedError)

    asyncio.run(cancel_after_turns())
