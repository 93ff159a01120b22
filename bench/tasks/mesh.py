"""One of several tasks that all talk to each other: `mesh.py ADDRESS,ADDRESS,…`."""

import os
import socket
import sys
import threading
import time

PIECE = b"x" * 1000
EVERY_S = 0.02


def hear(near: socket.socket) -> None:
    """Take whatever comes."""
    while near.recv(1 << 16):
        pass


def take(server: socket.socket) -> None:
    """Accept all who come."""
    while True:
        threading.Thread(target=hear, args=(server.accept()[0],), daemon=True).start()


def join(address: str) -> socket.socket:
    """Connect to a task that may not listen yet."""
    host, _, port = address.rpartition(":")
    while True:
        try:
            return socket.create_connection((host, int(port)))
        except ConnectionRefusedError:
            time.sleep(0.05)


def main() -> None:
    """Talk until told to end."""
    own = os.environ["TENFOLD_ADDRESS"]
    host, _, port = own.rpartition(":")
    server = socket.create_server((host, int(port)), backlog=100)
    threading.Thread(target=take, args=(server,), daemon=True).start()
    others = [join(address) for address in sys.argv[1].split(",") if address != own]
    while True:
        for other in others:
            other.sendall(PIECE)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
