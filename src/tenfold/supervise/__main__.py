"""The supervisor process: `python -m tenfold.supervise [--batch] RUN_DIRECTORY`.

In a batch job (`--batch`) it finds the plan in the run directory. Otherwise it gets its orders,
one JSON line, on standard input: the plan with its secrets, which are not written to disk. When
the one who gave them asked for it (`attached`), the end of standard input is the end of the run:
whoever watched it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

from tenfold.base import streams
from tenfold.base.secrets import VeiledStream
from tenfold.cells import Wishes
from tenfold.cells import supervisor as side_of
from tenfold.launch import signals
from tenfold.planning.plan import Plan
from tenfold.run import files
from tenfold.run.planfile import read_plan
from tenfold.run.rundir import RunDirectory, hold_lock
from tenfold.run.states import State
from tenfold.supervise import control
from tenfold.supervise.loop import Supervisor
from tenfold.supervise.presence import Presence

_KILL_WAIT_S = 120.0


async def supervise(
    run: RunDirectory, plan: Plan, wishes: Wishes, attached: bool, lock: IO[bytes]
) -> str:
    """Run the plan to its end. `lock` is the run's lock, which is held."""
    side = side_of(plan.cell)
    supervisor = Supervisor(
        plan,
        run,
        lambda hear: side.make(plan, run, hear, wishes),
        keep=wishes.keep,
        patience=side.patience,
        presence=Presence(run, plan, lock),
    )
    loop = asyncio.get_running_loop()
    told: set[asyncio.Task[None]] = set()

    def end(words: str) -> None:
        told.add(asyncio.create_task(supervisor.told_to_end(side.why_told, words)))

    signals.outlast()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, f"stopped by {number.name}")
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    if attached:
        _watch_standard_input(loop, supervisor)
    server = await control.serve(run, supervisor)
    serving = asyncio.create_task(control.keep_serving(run, supervisor, server))
    try:
        return await supervisor.run()
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        files.remove(run.control)


def _watch_standard_input(loop: asyncio.AbstractEventLoop, supervisor: Supervisor) -> None:
    def look() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            supervisor.kill("tenfold up was killed")

    loop.add_reader(0, look)


def _ordered(run: RunDirectory) -> str:
    """Supervise a run that `tenfold up` started, in a session of our own.

    The signals of the terminal of `tenfold up` are meant for that command alone.
    """
    os.setsid()
    with hold_lock(run) as lock:
        orders: dict[str, Any] = json.loads(sys.stdin.readline())
        plan, wishes = Plan.from_json(orders["plan"]), Wishes(**orders["wishes"])
        return asyncio.run(supervise(run, plan, wishes, orders["attached"], lock))


def _batch(run: RunDirectory) -> str:
    """Supervise in a batch job.

    The plan is the run directory's, and secrets are in the environment.
    """
    with hold_lock(run) as lock:
        plan = read_plan(run.plan).restored(os.environ)
        wishes = Wishes(keep=os.environ.get("TENFOLD_KEEP") == "yes")
        state = asyncio.run(supervise(run, plan, wishes, attached=False, lock=lock))
    if state == State.STARTING:
        _wait_for_the_end()
    return state


def _wait_for_the_end() -> None:
    """Wait until the batch system kills this process and starts the job again.

    Slurm 22.05 gives a job that ends by itself, while it is being requeued, the node that has
    just failed, and no step on it.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(_KILL_WAIT_S)


def main() -> None:
    """Lock the run, and supervise it."""
    signals.start_afresh()
    streams.install()
    streams.tolerate()  # its log may be on a disk that is full
    sys.stderr = VeiledStream(sys.stderr)
    run = RunDirectory(Path(sys.argv[-1]))
    state = _batch(run) if sys.argv[1] == "--batch" else _ordered(run)
    sys.exit(0 if state == State.SUCCEEDED else 1)


if __name__ == "__main__":
    main()
