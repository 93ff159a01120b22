"""Requests to a running supervisor, over a unix socket in the run directory.

`python -m tenfold.supervise.control RUN_DIRECTORY REQUEST` asks from the shell, on the supervisor's
own host.

One JSON line asks, one answers: `{"op": "restart", "tasks": [...]}`, `{"op": "stop"}`,
`{"op": "kill"}` → `{"ok": true, …}`. The directory is its owner's alone, and so the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from tenfold.cells import client
from tenfold.errors import TenfoldError
from tenfold.run import files
from tenfold.run.elsewhere import Elsewhere
from tenfold.run.rundir import RunDirectory
from tenfold.run.statusfiles import RunStatus

_LONGEST_PATH_BYTES = 100
_TIMEOUT_S = 10.0
_LOOK_S = 0.5


class Controlled(Protocol):
    """The part of a `Supervisor` that handles requests."""

    def stop(self, reason: str) -> None:
        """Stop the run gracefully."""

    def kill(self, reason: str) -> None:
        """Kill the run."""

    def restart(self, names: list[str]) -> list[str]:
        """Restart tasks. Returns the tasks that cannot be restarted."""


async def serve(run: RunDirectory, supervisor: Controlled) -> asyncio.Server:
    """Accept requests until the server is closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError, KeyError):
            request = json.loads(await reader.readline())
            writer.write(json.dumps(_answer(supervisor, request)).encode() + b"\n")
            await writer.drain()
        writer.close()

    files.remove(run.control)
    if os.path.lexists(run.control):  # a directory
        files.set_aside(run.control)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with _short(run.control) as path:
            listener.bind(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return await asyncio.start_unix_server(answer, sock=listener)


async def keep_serving(run: RunDirectory, supervisor: Controlled, server: asyncio.Server) -> None:
    """Accept requests until this is cancelled.

    A socket that somebody removes is created again.
    """
    own = _identity(run)
    try:
        while True:
            await asyncio.sleep(_LOOK_S)
            if _identity(run) != own:
                with contextlib.suppress(OSError):
                    made = await serve(run, supervisor)
                    server.close()
                    server, own = made, _identity(run)
    finally:
        server.close()


def _identity(run: RunDirectory) -> object:
    try:
        found = files.look(run.control, links=True)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _answer(supervisor: Controlled, request: dict[str, Any]) -> dict[str, Any]:
    match request["op"]:
        case "stop":
            supervisor.stop(request.get("reason", "stopped by tenfold down"))
        case "kill":
            supervisor.kill(request.get("reason", "killed by tenfold down"))
        case "restart":
            refused = supervisor.restart(request["tasks"])
            return {"ok": not refused, "refused": refused}
        case other:
            return {"ok": False, "error": f"unknown request {other}"}
    return {"ok": True}


def ask(run: RunDirectory, op: str, **more: object) -> dict[str, Any]:
    """Send a request to the supervisor of `run`, and return its answer.

    Raises TenfoldError if there is no supervisor.

    One that has only just begun is waited for. One that is elsewhere is asked through its cell.
    """
    request = {"op": op, **more}
    if run.is_elsewhere() and not (run.locked() and _is_here(run)):
        return _ask_elsewhere(run, request)
    try:
        return _ask(run, request)
    except (OSError, ValueError) as error:
        raise _not_running(run, error) from error


def _not_running(run: RunDirectory, cause: Exception | None = None) -> TenfoldError:
    return TenfoldError(
        f"run {run.run} of {run.cluster} is not running",
        hint="see how it ended with `tenfold ps`, start it with `tenfold up`",
        cause=cause,
    )


def _is_here(run: RunDirectory) -> bool:
    """Whether the supervisor runs on this host.

    Locks may reach over a network file system, but a unix socket does not.
    """
    status = RunStatus.read(run.status)
    return status is not None and status.host == socket.gethostname()


def _ask_elsewhere(run: RunDirectory, request: dict[str, Any]) -> dict[str, Any]:
    place = Elsewhere.read(run.elsewhere) or Elsewhere()
    answer = client(place.cell).ask(run, request) if run.alive() else None
    if answer is None:
        raise _not_running(run)
    return answer


def _ask(run: RunDirectory, request: dict[str, object]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_TIMEOUT_S)
        _connect(client, run)
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.readline())
            return answer


def _connect(client: socket.socket, run: RunDirectory) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            with _short(run.control) as path:
                client.connect(path)
                return
        except (FileNotFoundError, ConnectionRefusedError):
            if not run.alive() or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """`path` in a form that fits a socket address (108 bytes on Linux, unix(7))."""
    if len(os.fsencode(path)) <= _LONGEST_PATH_BYTES or sys.platform != "linux":
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


if __name__ == "__main__":
    print(json.dumps(_ask(RunDirectory(Path(sys.argv[1])), json.loads(sys.argv[2]))))
