"""How tasks find each other: published addresses and reserved ports.

A port is reserved until its task binds it.

Some cells know every address before the start and write them at once (`announce`); on others a
task publishes its own when it has one (`publish`) and waits for its peers (`wait_for`). Readers
need not know which: `known` gives what there is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

from tenfold.base.quantities import limit_text
from tenfold.errors import InputError, TenfoldError
from tenfold.run import files
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory

PORTS = range(20_000, 32_000)
"""The range of ports used when a machine's ports are shared.

It is below Linux's ephemeral ports (32768 and up, ip(7)), so that nobody's outgoing connection uses
one of them.
"""

WORD_S = 5.0
"""Seconds between two messages that name the missing tasks to whoever waits."""

_TRIES = 500
_POLL_S = 0.05


def announce(run: RunDirectory, addresses: Mapping[str, str]) -> None:
    """Write the addresses (`host:port`) of all tasks, by label (`worker-3`), at once."""
    write_json(_announced(run), dict(addresses))


def publish(run: RunDirectory, label: str, address: str) -> None:
    """Publish the address of one task for those who wait for it."""
    files.make_directory(run.task(label).path)
    write_json(_published(run, label), {"address": address})


def _announced(run: RunDirectory) -> Path:
    return run.path / "addresses.json"


def _published(run: RunDirectory, label: str) -> Path:
    return run.task(label).path / "address.json"


def known(run: RunDirectory, labels: Iterable[str]) -> dict[str, str]:
    """The known addresses of the tasks with these labels.

    An address that the task itself published takes precedence.
    """
    announced = read_json(_announced(run)) or {}
    found = {}
    for label in labels:
        said = (read_json(_published(run, label)) or {}).get("address", announced.get(label))
        if isinstance(said, str):
            found[label] = said
    return found


def wait_for(
    run: RunDirectory,
    labels: Iterable[str],
    timeout_s: float,
    on_wait: Callable[[list[str]], None] = lambda _: None,
) -> dict[str, str]:
    """Wait for and return the addresses of all these tasks.

    `on_wait` is told every `WORD_S` seconds who is missing. Raises TenfoldError naming them after
    `timeout_s` seconds.
    """
    wanted = list(labels)
    deadline, next_word = time.monotonic() + timeout_s, time.monotonic() + WORD_S
    while len(found := known(run, wanted)) < len(wanted):
        missing = [label for label in wanted if label not in found]
        now = time.monotonic()
        if now >= deadline:
            raise TenfoldError(
                f"no address after {limit_text(timeout_s)} from {_few(missing)}",
                hint="look at their logs: tenfold logs",
            )
        if now >= next_word:
            on_wait(missing)
            next_word = now + WORD_S
        time.sleep(_POLL_S)
    return found


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


class HeldPort:
    """A TCP port of this machine, reserved while this object lives.

    No other run of tenfold gets it.

    A lock file keeps other runs off for the whole life. A bound socket keeps everybody else off
    until `release`: for ever if the task binds with SO_REUSEPORT too, else until just before the
    task starts (a stranger who binds a fixed port in `PORTS` in that moment wins it).
    """

    def __init__(self, port: int, lock: IO[bytes], hold: socket.socket) -> None:
        self.port = port
        self._lock = lock
        self._hold = hold

    def release(self) -> None:
        """Let the task bind the port. Other runs of tenfold still cannot take it."""
        self._hold.close()

    def close(self) -> None:
        """Release the port for everybody."""
        self._hold.close()
        self._lock.close()


def hold_port(wanted: int | None = None, *, prefer: int | None = None) -> HeldPort:
    """Reserve a TCP port.

    This is `wanted`, or the first free port from `prefer` on, or any free port of `PORTS`.

    Raises InputError when `wanted` is taken or nothing is free.
    """
    if wanted is not None:
        held = _try_port(wanted)
        if held is None:
            raise InputError(
                f"port {wanted} is taken on this machine",
                hint="name another port, or none: tenfold then finds a free one",
            )
        return held
    candidates: Iterable[int] = random.sample(PORTS, _TRIES)
    if prefer is not None:
        candidates = range(prefer, min(prefer + _TRIES, 65_536))
    for port in candidates:
        if held := _try_port(port):
            return held
    raise InputError("no free TCP port was found", hint="end what holds them: ss -ltnp")


def _try_port(port: int) -> HeldPort | None:
    lock = _lock(port)
    if lock is None:
        return None
    hold = socket.socket()
    try:
        with socket.socket() as probe:
            probe.bind(("", port))
        hold.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        hold.bind(("", port))
    except OSError:
        hold.close()
        lock.close()
        return None
    return HeldPort(port, lock, hold)


def _lock(port: int) -> IO[bytes] | None:
    """Lock a port of this machine for all users. None if it is locked already."""
    directory = Path(tempfile.gettempdir()) / "tenfold-ports"
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o777)
            directory.chmod(0o1777)
        stream = os.fdopen(_open_for_lock(directory / str(port)), "rb")
    except OSError:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


def _open_for_lock(path: Path) -> int:
    """Open for reading, which suffices for flock.

    Other users' files can be opened in this way.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    with contextlib.suppress(FileExistsError):
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    return os.open(path, flags)
