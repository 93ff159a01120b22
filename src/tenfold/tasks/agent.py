"""`tenfold task worker/3 --held`: a task runner that takes orders on stdin.

It stays after the task has ended.

For cells that place a task before anybody knows its address: it takes its ports first, publishes
its address, and runs the command when it is told to, as often as it is told to. One JSON object a
line, both ways:

    ← {"op": "placed", "host": …, "address": …, "ports": {…}}       once
    → {"op": "start", "life": 1, "addresses": {"ps": […], …}}
    ← {"op": "life", …}                                            see `runner.Life`
    → {"op": "signal", "number": 15}

The end of standard input is the end of the task: whoever gave orders is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from tenfold.frameworks import framework
from tenfold.launch.children import Children
from tenfold.launch.sampling import shared_sampler
from tenfold.planning.plan import Plan, Task
from tenfold.run.lives import TaskLife
from tenfold.run.rendezvous import HeldPort, hold_port, publish
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.container import read_plan
from tenfold.tasks.runner import HostSettings, Runner
from tenfold.traffic.book import entries_of

MAIN = "main"
_END_S = 5.0


def serve(name: str, environment: Mapping[str, str]) -> int:
    """Serve the task `name` until standard input ends. Returns 0."""
    run, plan = read_plan(environment)
    orders = os.dup(0)
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what anybody else prints is no answer
    asyncio.run(Agent(plan, plan.task(name), run, environment, answers).serve(orders))
    return 0


class Agent:
    """One task's agent. `answers` is the descriptor for its answers."""

    def __init__(
        self,
        plan: Plan,
        task: Task,
        run: RunDirectory,
        environment: Mapping[str, str],
        answers: int,
    ) -> None:
        self._plan = plan
        self._task = task
        self._run = run
        self._environment = environment
        self._answers = answers
        self._held: dict[str, HeldPort] = {}
        self._ended = False

    async def serve(self, orders: int) -> None:
        """Carry out orders until they end, then end the task."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Whoever ends a batch job signals every process of it; the task gets its own.
            asyncio.get_running_loop().add_signal_handler(number, lambda: None)
        self._sampler = sampler = shared_sampler(self._run)
        self._runner = Runner(
            self._plan, self._task, self._run, Children(), self._tell, sampler=sampler
        )
        sampler.open()
        self._take_ports()
        lives: set[asyncio.Task[TaskLife]] = set()
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        _read_lines(orders, inbox)
        while (order := await inbox.get()) is not None:
            if order["op"] == "start":
                lives.add(asyncio.create_task(self._start(order)))
            elif order["op"] == "signal":
                self._runner.signal(int(order["number"]))
        self._runner.signal(signal.SIGKILL)
        if lives:
            await asyncio.wait(lives, timeout=_END_S)
        await sampler.close()
        for held in self._held.values():
            held.close()

    def _take_ports(self) -> None:
        for name, wanted in {**self._task.ports, MAIN: self._last_port()}.items():
            try:
                self._held[name] = hold_port(wanted) if name != MAIN else _prefer(wanted)
            except Exception as error:
                self._say({"op": "failed", "reason": str(error)})
                raise
        host = socket.gethostname()
        address = f"{_reachable(host)}:{self._held[MAIN].port}"
        publish(self._run, self._task.label, address)
        ports = {name: held.port for name, held in self._held.items()}
        self._say({"op": "placed", "host": _node(host), "address": address, "ports": ports})

    def _last_port(self) -> int | None:
        """The port of the task's earlier agent, which its peers know."""
        said = self._environment.get("TENFOLD_LAST_PORT")
        return int(said) if said else None

    async def _start(self, order: Mapping[str, Any]) -> TaskLife:
        addresses: dict[str, list[str]] = order["addresses"]
        for entry in entries_of(addresses):
            self._sampler.know(entry)
        frame = framework(self._plan.framework)
        joins = frame.holds_ports()
        if not (joins and frame.environment(self._task.job, self._task.index, addresses)):
            joins = {}
            for held in self._held.values():
                held.release()
        ports = {name: held.port for name, held in self._held.items()}
        others = {name for task in self._plan.tasks for name in task.secrets}
        others -= set(self._task.env)
        inherited = {n: value for n, value in self._environment.items() if n not in others} | joins
        place = HostSettings(ports, addresses, inherited)
        return await self._runner.live(int(order["life"]), place)

    def _tell(self, life: TaskLife) -> None:
        with contextlib.suppress(OSError):  # a full disk must not hide how the task ended
            life.write(self._run.task(self._task.label).life)
        self._say({"op": "life", **life.to_json()})

    def _say(self, message: Mapping[str, Any]) -> None:
        os.write(self._answers, json.dumps(message).encode() + b"\n")


def _prefer(wanted: int | None) -> HeldPort:
    return hold_port() if wanted is None else hold_port(prefer=wanted)


def _reachable(host: str) -> str:
    """The name under which other nodes reach this one.

    This is the address of the node if its name does not resolve.
    """
    return os.environ.get("TENFOLD_HOST") or host


def _node(host: str) -> str:
    """The node's name in the batch system."""
    return os.environ.get("SLURMD_NODENAME") or host


def _read_lines(orders: int, inbox: asyncio.Queue[dict[str, Any] | None]) -> None:
    """Put every line of `orders` into `inbox`, and None at the end.

    A thread does it, as srun's standard input may be a file, a pipe or a socket.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        with os.fdopen(orders, "rb") as stream:
            for line in stream:
                try:
                    message = json.loads(line)
                except ValueError:
                    print(f"tenfold: not an order: {line!r}", file=sys.stderr, flush=True)
                    continue
                loop.call_soon_threadsafe(inbox.put_nowait, message)
        loop.call_soon_threadsafe(inbox.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
