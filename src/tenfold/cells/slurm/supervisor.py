"""The Slurm cell in its batch job: each task is a step, run by an agent.

Owns one `srun` a task, which places the task's agent (`tenfold.tasks.agent`) on a node of the
job and carries orders to it and news from it on its standard input and output. All agents are
placed before the first task starts: only they know the addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.base.interpreter import own
from tenfold.base.quantities import limit_text
from tenfold.cells import (
    Ended,
    Handlers,
    Outcome,
    Patience,
    Placed,
    Protection,
    SupervisorSide,
    Wishes,
)
from tenfold.cells.slurm.commands import nodes_of, own_job, why_told
from tenfold.cells.slurm.ends import lost, told
from tenfold.cells.slurm.sbatch import Component, components, mebibytes
from tenfold.errors import TenfoldError, UnavailableError
from tenfold.planning.plan import Plan, Task
from tenfold.run.lives import TaskLife
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.tasks.capture import allow_many_files

_PLACE_S = 300.0
_PLACE_TRIES = 30
_PLACE_AGAIN_S = 2.0
_WORD_S = 5.0
_BEGIN_S = 60.0
_END_S = 10.0

_Message = Mapping[str, Any]


@dataclass(slots=True)
class _Agent:
    """One task's agent: its srun, where it is, and the task's present life."""

    task: Task
    process: asyncio.subprocess.Process
    placed: asyncio.Future[_Message]
    words: list[str] = field(default_factory=list)
    """The last lines that srun itself printed."""
    number: int = 0
    life: TaskLife | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    live: bool = False
    gone: bool = False
    hearers: list[asyncio.Task[None]] = field(default_factory=list)


class SlurmCell:
    """See `tenfold.cells.Cell` for what each method promises."""

    def __init__(self, plan: Plan, run: RunDirectory, hear: Handlers) -> None:
        self._plan = plan
        self._run = run
        self._hear = hear
        self._job = os.environ["SLURM_JOB_ID"]
        self._components = components(plan)
        self._agents: dict[str, _Agent] = {}
        self._addresses: dict[str, str] = {}
        self._all_placed: asyncio.Task[dict[str, list[str]]] | None = None
        self._closing = False
        self._in_order = asyncio.Lock()
        self._judged: set[asyncio.Task[None]] = set()
        self._stop: Callable[[str], None] = lambda _: None

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Place every task's agent. They are waited for when the first task starts."""
        self._on_lost = on_lost
        allow_many_files()
        if (restarts := os.environ.get("SLURM_RESTART_COUNT", "0")) != "0":
            self._hear.on_note(f"Slurm has restarted job {self._job} (restart {restarts})", None)
        for number, component in enumerate(self._components):
            nodes = await asyncio.to_thread(nodes_of, number, len(self._components))
            for place, task in enumerate(component.tasks):
                node = nodes[min(place, len(nodes) - 1)]
                self._agents[task.name] = await self._place(task, number, component, node)
        self._all_placed = asyncio.create_task(self._placed())
        return Protection(
            "none",
            "tasks use the network of the nodes: "
            "everyone who can reach the nodes can reach their ports",
        )

    async def _place(
        self, task: Task, number: int, component: Component, node: str, port: int | None = None
    ) -> _Agent:
        more = {"TENFOLD_RUN_DIRECTORY": str(self._run.path)}
        if port is not None:
            more["TENFOLD_LAST_PORT"] = str(port)
        runner = own("tenfold", "task", task.name, "--held")
        argv = (*self._srun(task, number, component, node), *runner)

        async def srun() -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                *argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_step_environment() | more,
                limit=1 << 24,
            )

        agent = _Agent(task, await srun(), asyncio.get_running_loop().create_future())
        agent.hearers.append(asyncio.create_task(self._hear_agent(agent, srun)))
        return agent

    def _srun(self, task: Task, number: int, component: Component, node: str) -> list[str]:
        needs = component.needs
        words = ["srun", "--nodes=1", "--ntasks=1", "--exact", f"--cpus-per-task={needs.cpu}"]
        words += ["--kill-on-bad-exit=0", "--input=0", "--unbuffered", f"--job-name={task.label}"]
        words += ["--export=ALL", "--mpi=none", "--wait=0", f"--nodelist={node}"]
        if len(self._components) > 1:
            words.append(f"--het-group={number}")
        if needs.memory:
            words.append(f"--mem-per-cpu={mebibytes(needs)}M")
        if needs.gpu:
            words.append(f"--gpus-per-task={needs.gpu}")
        return words

    async def _hear_agent(
        self, agent: _Agent, srun: Callable[[], Awaitable[asyncio.subprocess.Process]]
    ) -> None:
        """Read the agent's messages until it ends.

        If a node accepted no step for the agent, the agent is started again for a while.

        A node that has just come back is given to jobs before it takes steps (seen on 22.05).
        """
        for _ in range(_PLACE_TRIES):
            await asyncio.gather(self._hear_answers(agent), _hear_srun(agent))
            await agent.process.wait()
            if agent.placed.done() or self._closing or not _may_be_placed_later(agent):
                break
            await asyncio.sleep(_PLACE_AGAIN_S)
            if self._closing:
                break
            agent.process = await srun()
        agent.gone = True
        if not agent.placed.done():
            agent.placed.set_exception(TenfoldError(_not_placed(agent)))
        agent.changed.set()
        if agent.live and not self._closing:
            agent.live = False
            self._lost_step(agent)

    async def _hear_answers(self, agent: _Agent) -> None:
        assert agent.process.stdout is not None
        while line := await agent.process.stdout.readline():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._take(agent, json.loads(line))

    def _take(self, agent: _Agent, message: _Message) -> None:
        if message["op"] == "placed" and not agent.placed.done():
            agent.placed.set_result(message)
        elif message["op"] == "failed" and not agent.placed.done():
            agent.placed.set_exception(TenfoldError(message["reason"]))
        elif message["op"] == "life":
            agent.life = TaskLife.from_json(message)
            agent.changed.set()
            if agent.live and agent.life.ended is not None:
                agent.live = False
                self._ended(agent, agent.life)

    async def _placed(self) -> dict[str, list[str]]:
        """Every task's address by job, once all agents are placed."""
        waited, told = 0.0, ""
        agents = list(self._agents.values())
        while missing := [agent for agent in agents if not agent.placed.done()]:
            if waited >= _PLACE_S:
                raise TenfoldError(
                    f"no address from {_names(missing)} after {limit_text(_PLACE_S)}"
                )
            await asyncio.wait([agent.placed for agent in missing], timeout=_WORD_S)
            waited += _WORD_S
            late = _names([agent for agent in missing if not agent.placed.done()])
            if late and late != told:
                self._hear.on_note(f"waiting for nodes for {late}", None)
                told = late
        addresses: dict[str, list[str]] = {}
        for task in self._plan.tasks:
            try:
                placed = await self._agents[task.name].placed
            except TenfoldError as error:
                message = f"{task.name} has no node: {error.message}"
                raise TenfoldError(message, hint=error.hint, cause=error) from error
            self._addresses[task.name] = placed["address"]
            addresses.setdefault(task.job, []).append(placed["address"])
        return addresses

    async def start(self, task: Task) -> Placed:
        """Ask the task's agent to start it, once all agents are placed."""
        assert self._all_placed is not None
        addresses = await asyncio.shield(self._all_placed)
        agent = self._agents[task.name]
        if agent.gone:
            agent = await self._place_again(agent)
        placed = await agent.placed
        before = TaskLife.read(self._run.task(task.label).life) or TaskLife()
        agent.number = max(agent.number, before.number) + 1
        self._order(agent, {"op": "start", "life": agent.number, "addresses": addresses})
        life = await self._begun(agent)
        if life.ended is None:
            agent.live = True
        else:
            asyncio.get_running_loop().call_soon(self._ended, agent, life)
        return Placed(life.pid, placed["host"])

    async def _place_again(self, lost: _Agent) -> _Agent:
        """Start a new agent on the same node and port, since peers know the address."""
        former = await lost.placed
        number = next(n for n, c in enumerate(self._components) if lost.task in c.tasks)
        where = (former["host"], former["ports"]["main"])
        agent = await self._place(lost.task, number, self._components[number], *where)
        agent.number = lost.number
        self._agents[lost.task.name] = agent
        try:
            placed = await asyncio.wait_for(asyncio.shield(agent.placed), _BEGIN_S)
        except TimeoutError as error:
            words = f"Slurm assigned it no node again within {limit_text(_BEGIN_S)}"
            raise TenfoldError(words) from error
        if placed["address"] != former["address"]:
            raise TenfoldError(f"its address {former['address']} is now used by another process")
        return agent

    async def _begun(self, agent: _Agent) -> TaskLife:
        try:
            async with asyncio.timeout(_BEGIN_S):
                while True:
                    life = agent.life
                    if life is not None and life.number == agent.number:
                        if life.refused is not None:
                            raise TenfoldError(life.refused)
                        return life
                    if agent.gone:
                        raise TenfoldError(_not_placed(agent))
                    agent.changed.clear()
                    await agent.changed.wait()
        except TimeoutError as error:
            raise TenfoldError(
                f"its agent did not start it within {limit_text(_BEGIN_S)}"
            ) from error

    def _order(self, agent: _Agent, order: _Message) -> None:
        assert agent.process.stdin is not None
        with contextlib.suppress(OSError):
            agent.process.stdin.write(json.dumps(order).encode() + b"\n")

    def _ended(self, agent: _Agent, life: TaskLife) -> None:
        self._tell(agent, told(Ended(life.exit_code, life.signal), life, agent.task))

    def _lost_step(self, agent: _Agent) -> None:
        """The agent is gone, and its task with it.

        The node went down, or the step was ended.
        """
        said = agent.words[-1] if agent.words else "srun ended"
        self._hear.on_note(f"the step of {agent.task.name} was lost: {said}", None)
        self._tell(agent, lost(Ended(None, signal.SIGKILL), agent.words, agent.task))

    def _tell(self, agent: _Agent, ended: Ended) -> None:
        judged = asyncio.create_task(self._judge(agent, ended))
        self._judged.add(judged)
        judged.add_done_callback(self._judged.discard)

    async def _judge(self, agent: _Agent, ended: Ended) -> None:
        """Report an end, after asking Slurm whether it caused it.

        A job that is cancelled is COMPLETING before its processes are signalled (seen on 22.05).
        """
        async with self._in_order:
            if not self._closing:
                with contextlib.suppress(TenfoldError):
                    if why := await asyncio.to_thread(why_told, *own_job()):
                        self._hear.on_stop(*self._as_seen(why))
            self._hear.on_exit(agent.task.name, ended)

    def _as_seen(self, why: tuple[Outcome, str]) -> tuple[Outcome, str]:
        """The outcome, corrected by what srun reported.

        Slurm calls any job that ends COMPLETING, but srun reports a node that failed.
        """
        said = (words for agent in self._agents.values() for words in agent.words)
        node = next((words for words in said if "node failure" in words.lower()), None)
        return (State.FAILED, node) if why[0] == State.STOPPED and node is not None else why

    def signal(self, task: Task, number: int) -> None:
        """Ask the agent to signal the task's process group."""
        agent = self._agents.get(task.name)
        if agent is not None and agent.live:
            self._order(agent, {"op": "signal", "number": int(number)})

    async def is_ready(self, task: Task) -> bool:
        """Whether the agent reports the task as ready."""
        life = self._agents[task.name].life
        return life is not None and life.ready is not None and life.ended is None

    def address(self, task: Task) -> str | None:
        """The address where the agent has reserved a port."""
        return self._addresses.get(task.name)

    def urls(self, task: Task) -> dict[str, str]:
        """URLs on the loopback of the task's node, which a tunnel reaches."""
        agent = self._agents.get(task.name)
        if agent is None or not agent.placed.done() or agent.placed.exception() is not None:
            return {}
        ports = agent.placed.result()["ports"]
        return {name: f"http://127.0.0.1:{ports[name]}/" for name in task.publish}

    async def close(self) -> None:
        """End every step."""
        self._closing = True
        if self._all_placed is not None:
            self._all_placed.cancel()
        for agent in self._agents.values():
            assert agent.process.stdin is not None
            with contextlib.suppress(OSError):
                agent.process.stdin.close()
        ends = [asyncio.create_task(agent.process.wait()) for agent in self._agents.values()]
        if ends:
            _, late = await asyncio.wait(ends, timeout=_END_S)
            if late:
                await self._kill_late()
        for agent in self._agents.values():
            await asyncio.wait(agent.hearers, timeout=_END_S)
            for hearer in agent.hearers:
                hearer.cancel()
            if agent.placed.done():
                agent.placed.exception()
        await asyncio.gather(*self._judged, return_exceptions=True)

    async def _kill_late(self) -> None:
        for agent in self._agents.values():
            if agent.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    agent.process.kill()
        await asyncio.gather(*(agent.process.wait() for agent in self._agents.values()))


async def _hear_srun(agent: _Agent) -> None:
    """Read the output of srun, and the agent's own errors.

    They are kept for messages, and in slurm-JOB.log.
    """
    assert agent.process.stderr is not None
    while line := await agent.process.stderr.readline():
        text = line.decode(errors="replace").strip()
        if text:
            agent.words = [*agent.words[-4:], text.removeprefix("srun: ").removeprefix("error: ")]
            print(f"{agent.task.name}: {text}", file=sys.stderr, flush=True)


def _step_environment() -> dict[str, str]:
    """The batch step's environment.

    Variables that would bind every step to its resources are left out.
    """
    ours = ("SLURM_CPU_BIND", "SLURM_MEM_PER", "SLURM_CPUS_PER_TASK", "SLURM_TRES_PER_TASK",
            "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_GPUS_PER", "SLURM_DISTRIBUTION")  # fmt: skip
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _may_be_placed_later(agent: _Agent) -> bool:
    return any("Unable to create step" in words for words in agent.words)


def _not_placed(agent: _Agent) -> str:
    said = next((words for words in reversed(agent.words) if words), "srun printed nothing")
    return f"Slurm assigned it no node: {said}"


def _names(agents: list[_Agent]) -> str:
    names = [agent.task.name for agent in agents]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


class SlurmSupervisor(SupervisorSide):
    """Steps of the batch job that this process runs in."""

    patience = Patience(kill_s=30.0, settle_s=5.0)  # each end is asked of the controller

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> SlurmCell:
        """The cell of one run, inside its job."""
        del wishes
        if "SLURM_JOB_ID" not in os.environ:
            raise UnavailableError("this is not inside a Slurm job")
        return SlurmCell(plan, run, hear)

    def why_told(self) -> tuple[Outcome, str] | None:
        """Whether the job was cancelled, is out of time, or will be restarted."""
        return why_told(*own_job(), asked=True) if "SLURM_JOB_ID" in os.environ else None


SUPERVISOR = SlurmSupervisor()
