"""The supervisor process: `python -m tenfold.supervise RUN_DIRECTORY`.

It gets its orders, one JSON line, on standard input: the plan with its secrets, which are not
written to disk. When the one who gave them asked for it (`attached`), the end of standard input
is the end of the run: whoever watched it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tenfold.cells import cell
from tenfold.plans import Plan
from tenfold.rundir import RunDirectory, hold_lock
from tenfold.supervise import control
from tenfold.supervise.loop import Supervisor


async def supervise(run: RunDirectory, orders: dict[str, Any]) -> str:
    """Run the plan in `orders` to its end."""
    plan = Plan.from_json(orders["plan"])
    supervisor = Supervisor(
        plan,
        run,
        lambda hear: cell(plan, run, hear, orders["isolation"]),
        keep=orders["keep"],
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, f"stopped by {number.name}")
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    if orders["attached"]:
        _watch_standard_input(loop, supervisor)
    server = await control.serve(run, supervisor)
    try:
        return await supervisor.run()
    finally:
        server.close()
        with contextlib.suppress(OSError):
            run.control.unlink()


def _watch_standard_input(loop: asyncio.AbstractEventLoop, supervisor: Supervisor) -> None:
    def look() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            supervisor.kill("tenfold up was killed")

    loop.add_reader(0, look)


def main() -> None:
    """Read the orders, hold the run's lock, supervise."""
    os.setsid()  # signals of the terminal it was typed in are for `tenfold up`
    run = RunDirectory(Path(sys.argv[1]))
    with hold_lock(run):
        orders = json.loads(sys.stdin.readline())
        state = asyncio.run(supervise(run, orders))
    sys.exit(0 if state == "succeeded" else 1)


if __name__ == "__main__":
    main()
