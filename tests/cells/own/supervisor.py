"""The supervisor side of a cell that only these tests have, as somebody else would write it.

Tasks are plain child processes of the supervisor, each on a port of this machine; nothing keeps
others off them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace

from tenfold.cells import Ended, Handlers, Placed, Protection, SupervisorSide, Wishes
from tenfold.errors import TenfoldError
from tenfold.launch.children import Children
from tenfold.planning.plan import Plan, Task
from tenfold.run.jsonfiles import write_json
from tenfold.run.lives import TaskLife
from tenfold.run.rendezvous import hold_port
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.container import addresses_of, ports_of
from tenfold.tasks.runner import HostSettings, Runner


class OwnCell:
    """Runs each task with a task runner inside the supervisor's own process."""

    def __init__(self, plan: Plan, run: RunDirectory, hear: Handlers) -> None:
        self._plan = plan
        self._run = run
        self._hear = hear
        self._runners: dict[str, Runner] = {}
        self._lives: dict[str, TaskLife] = {}
        self._living: set[asyncio.Task[None]] = set()

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Find a port for each task."""
        del on_lost
        self._children = Children()
        held = [hold_port() for _ in self._plan.tasks]
        tasks = tuple(
            replace(task, address=f"127.0.0.1:{port.port}")
            for task, port in zip(self._plan.tasks, held, strict=True)
        )
        self._plan = replace(self._plan, tasks=tasks)
        for port in held:
            port.close()
        words = self._plan.settings.get("protection", "nothing protects the tasks' ports")
        return Protection("none", words)

    async def start(self, task: Task) -> Placed:
        """Start the task's command."""
        task = self._plan.task(task.name)
        begun = asyncio.Event()

        def tell(life: TaskLife) -> None:
            self._lives[task.name] = life
            pid = None if life.ended else life.pid
            write_json(self._run.task(task.label).path / "pid.json", {"pid": pid})
            begun.set()

        runner = self._runners.get(task.name)
        if runner is None:
            runner = Runner(self._plan, task, self._run, self._children, tell, alone=False)
            self._runners[task.name] = runner
        runner.tell = tell
        number = self._lives[task.name].number + 1 if task.name in self._lives else 1
        living = asyncio.create_task(self._live(task, runner, number))
        self._living.add(living)
        living.add_done_callback(self._living.discard)
        await begun.wait()
        life = self._lives[task.name]
        if life.refused is not None:
            raise TenfoldError(life.refused)
        return Placed(life.pid, socket.gethostname())

    async def _live(self, task: Task, runner: Runner, number: int) -> None:
        place = HostSettings(ports_of(task), addresses_of(self._plan), dict(os.environ))
        life = await runner.live(number, place)
        if life.refused is None:
            self._hear.on_exit(task.name, Ended(life.exit_code, life.signal))

    def signal(self, task: Task, number: int) -> None:
        """Signal the task's process group."""
        if runner := self._runners.get(task.name):
            runner.signal(number)

    async def is_ready(self, task: Task) -> bool:
        """Whether the task's runner says so."""
        return self._lives[task.name].ready is not None

    def address(self, task: Task) -> str | None:
        """On this machine's loopback."""
        return self._plan.task(task.name).address

    def urls(self, task: Task) -> dict[str, str]:
        """None: nothing is published."""
        del task
        return {}

    async def close(self) -> None:
        """End what still lives."""
        for runner in self._runners.values():
            runner.signal(signal.SIGKILL)
        if self._living:
            await asyncio.wait(self._living, timeout=10)
        for pid in self._children.orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class OwnSupervisor(SupervisorSide):
    """Plain processes."""

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> OwnCell:
        """The cell of one run."""
        del wishes
        return OwnCell(plan, run, hear)


SUPERVISOR = OwnSupervisor()
