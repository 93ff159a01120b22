"""Serving: uvicorn on a port that is bound already, and when it ends.

A dashboard that `tenfold up` started ends by itself, soon after no run is up and no page is open;
one that `tenfold open` serves goes on until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from pathlib import Path

import uvicorn

from tenfold.cells.settling import Settler
from tenfold.dashboard.app import Dashboard
from tenfold.dashboard.launch import Claim, tunnel
from tenfold.dashboard.names import every_run
from tenfold.run import files
from tenfold.run.rundir import RunDirectory

IDLE_S = 10.0
"""How long it stays when there is nothing to show and nobody looks."""

_LOOK_S = 2.0
_GRACE_S = 2
_SETTLE_S = 60.0


class Server(uvicorn.Server):
    """Serves one dashboard.

    When asked to end, it ends the streams first, which would never end by themselves.
    """

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        super().__init__(
            uvicorn.Config(
                dashboard.application,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the rest."""
        self._dashboard.watches.close()
        await super().shutdown(sockets)


def serve(claim: Claim, *, ends_alone: bool) -> None:
    """Run the dashboard until it is asked to end.

    With `ends_alone`, it also ends when nobody needs it.

    Raises KeyboardInterrupt when Ctrl-C ended it. The claim is given up then, port and token kept.
    """
    dashboard = Dashboard(claim.place.runs, claim.token, tunnel(claim.port))
    port = claim.port
    claim.place.tell(os.getpid(), port)
    try:
        asyncio.run(_serve(Server(dashboard), dashboard, claim, ends_alone))
    finally:
        with contextlib.suppress(OSError):  # the place may be gone
            claim.place.tell(None, port)
        claim.close()


async def _serve(server: Server, dashboard: Dashboard, claim: Claim, ends_alone: bool) -> None:
    watcher = asyncio.create_task(_end_alone(server, dashboard, claim)) if ends_alone else None
    try:
        await server.serve([claim.listener])
    finally:
        if watcher is not None:
            watcher.cancel()


async def _end_alone(server: Server, dashboard: Dashboard, claim: Claim) -> None:
    """Have the server end when nobody has needed it for a while."""
    life = RunsWatch(claim.place.runs)
    port = claim.port
    needed = time.monotonic()
    while time.monotonic() - needed < IDLE_S or not await _gives_up(life, claim, port):
        if dashboard.watches.open or await asyncio.to_thread(life.any_alive):
            needed = time.monotonic()
        await asyncio.sleep(_LOOK_S)
    server.should_exit = True


async def _gives_up(life: RunsWatch, claim: Claim, port: int) -> bool:
    """Withdraw as the dashboard, unless a run has begun that relies on it.

    Who starts a run and then looks for a dashboard finds none after this, or has its run seen.
    """
    with contextlib.suppress(OSError):
        claim.place.tell(None, port)
    if claim.place.directory.exists() and await asyncio.to_thread(life.any_alive):
        claim.place.tell(os.getpid(), port)
        return False
    return True


class RunsWatch:
    """Whether any run of a directory is up.

    A run whose supervisor has ended is never checked again.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._settler = Settler(_SETTLE_S)
        self._down: set[RunDirectory] = set()

    def any_alive(self) -> bool:
        """Whether a run is up now."""
        there = every_run(self._runs)
        self._down &= set(there)
        for run in there:
            if run not in self._down:
                self._settler.settle(run)
                if run.alive():
                    return True
                if files.exists(run.status):  # its supervisor has begun, and ended
                    self._down.add(run)
        return False
