"""Tasks that send each other so many bytes, on any cell: what traffic is measured with."""

from __future__ import annotations

from typing import Any

from tenfold.planning.plan import ReadinessCheck, Task

SERVE = """
import os, socket, threading
server = socket.create_server(("", int(os.environ["TENFOLD_ADDRESS"].rpartition(":")[2])))
def answer(near):
    came = went = 0
    try:
        while data := near.recv(1 << 16):
            came += len(data)
            near.sendall(data[: came // 4 - went])
            went = came // 4
    except OSError:
        pass
while True:
    threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()
"""
"""Answers every byte with a quarter of one."""

TALK = """
import socket, sys, time
addresses, size, pieces, after = sys.argv[1].split(","), *map(int, sys.argv[2:4]), sys.argv[4]
peers = [socket.create_connection(address.rsplit(":", 1), 10) for address in addresses]
for _ in range(pieces):
    for peer in peers:
        peer.sendall(b"x" * size)
        heard = 0
        while heard < size // 4 - 3:
            heard += len(peer.recv(1 << 16))
    time.sleep(2.4 / pieces)
exec(after)
"""
"""Sends `pieces` pieces of `size` bytes to every address, over more than two seconds."""


def server(python: str, index: int = 0) -> Task:
    """A parameter server of sorts."""
    return Task(job="ps", index=index, command=(python, "-c", SERVE), workdir="/tmp",
                ready=ReadinessCheck("tcp"), service=True)  # fmt: skip


def talker(
    python: str, index: int, *, job: str = "worker", size: int = 1 << 20, pieces: int = 10,
    after: str = "", **more: Any,
) -> Task:  # fmt: skip
    """A worker of sorts; `after` is Python to run when it has said everything."""
    words = ("${jobs.ps.addresses}", str(size), str(pieces), after)
    return Task(job=job, index=index, command=(python, "-c", TALK, *words), workdir="/tmp",
                after={"ps": "ready"}, **more)  # fmt: skip
