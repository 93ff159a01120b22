"""Check once whether something answers on a connected socket.

Probes end by being cancelled, when their task has ended: `asyncio.wait_for` would lose that if it
came together with the answer (Python 3.11, bpo-37658), and the probe go on for ever.
"""

from __future__ import annotations

import asyncio
import socket

PROBE_S = 2.0
"""The maximum number of seconds of one try."""


async def answer(made: socket.socket, path: str) -> str | None:
    """None if a GET of `path` returns a status below 400.

    Otherwise a description of the answer.

    The words follow `it`: `answers 404 at /health`.
    """
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    try:
        async with asyncio.timeout(2 * PROBE_S):
            await loop.sock_sendall(made, request)
            said = await loop.sock_recv(made, 64)
    except TimeoutError:
        return f"accepts a connection but does not respond at {path}"
    status = said.split(b" ", 2)[1:2]
    if not said.startswith(b"HTTP/") or not status or not status[0].isdigit():
        return f"does not respond with HTTP at {path}"
    return None if int(status[0]) < 400 else f"answers {int(status[0])} at {path}"
