"""Run a readiness command of the local cell once, where its task runs.

The result includes the command's last line.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from tenfold.base.quantities import limit_text
from tenfold.cluster.command_line import split
from tenfold.launch.channel import SpawnError
from tenfold.launch.client import LaunchClient
from tenfold.planning.plan import Bound, ReadinessCheck, Task
from tenfold.tasks.unready import how_it_ended, recorder, spoken


async def try_command(
    client: LaunchClient, task: Task, bound: Bound, ready: ReadinessCheck, devnull: int
) -> tuple[bool, str]:
    """Run the command: whether it exited with code 0, and a description.

    For example `exits with code 3 (…)`.

    A command that takes longer than the readiness may is killed.
    """
    output = recorder(lambda: os.dup(devnull))
    try:
        code = await _run(client, task, bound, ready, (devnull, output, output))
        return code == 0, f"{how_it_ended(code)}{spoken(output)}"
    except TimeoutError:
        return False, f"has not ended within {limit_text(ready.timeout_s)}"
    except SpawnError as error:
        return False, f"cannot be started: {error.message}"
    finally:
        os.close(output)


async def _run(
    client: LaunchClient,
    task: Task,
    bound: Bound,
    ready: ReadinessCheck,
    streams: tuple[int, int, int],
) -> int:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def told(status: int) -> None:
        if not ended.done():
            ended.set_result(status)

    started = await client.spawn(
        split(ready.target), bound.env, Path(bound.workdir), streams, told, task.network
    )
    try:
        async with asyncio.timeout(ready.timeout_s):
            return os.waitstatus_to_exitcode(await ended)
    except (TimeoutError, asyncio.CancelledError):
        client.signal(started, signal.SIGKILL)
        raise
