"""Whether something answers: one try, on a socket that is connected already.

Probes end by being cancelled, when their task has ended: `asyncio.wait_for` would lose that if it
came together with the answer (Python 3.11, bpo-37658), and the probe go on for ever.
"""

from __future__ import annotations

import asyncio
import socket

PROBE_S = 2.0
"""How long one try waits at most."""


async def answers(made: socket.socket, path: str) -> bool:
    """Whether a GET of `path` is answered with a status below 400."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
    async with asyncio.timeout(2 * PROBE_S):
        await loop.sock_sendall(made, request)
        answer = await loop.sock_recv(made, 64)
    status = answer.split(b" ", 2)[1:2]
    return bool(status) and status[0].isdigit() and int(status[0]) < 400
