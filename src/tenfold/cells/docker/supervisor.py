"""The Docker cell: each task is a container of this machine's engine.

The containers share a network of the run's own.

Owns the life of a compose project: made from compose.yaml, each container started and signalled
when the supervisor says so, its end learnt from the engine's events, all of it removed at the end.
In each container the task runner (`tenfold.tasks.container`) tells more than the engine knows:
readiness, and the true exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tenfold.base.quantities import limit_text
from tenfold.cells import (
    Ended,
    Handlers,
    Patience,
    Placed,
    Protection,
    SupervisorSide,
    Wishes,
)
from tenfold.cells.docker.ends import memory_words, state_of, with_reason
from tenfold.cells.docker.engine import (
    EngineError,
    EngineEvent,
    build_image,
    connect,
    containers,
    docker_once_back,
    events,
    first_words,
    have_image,
    inspected,
    remove,
    run_compose,
    start_error,
    wait_for_engine,
    who_reaches,
)
from tenfold.cells.docker.project import DockerProject, handle, project_of
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan, Task
from tenfold.run import files
from tenfold.run.lives import TaskLife
from tenfold.run.rendezvous import HeldPort, announce, hold_port
from tenfold.run.rundir import RunDirectory

_START_S = 60.0
_ENGINE_BACK_S = 60.0
_CLOSE_S = 30.0
_POLL_S = 0.05


@dataclass(slots=True)
class _Container:
    """One task's container, and its present life.

    `life` is the number of the present life, or of the last one that began; `end` is set by the
    engine while `start` is still waiting; `told_ns` is when the last end was that was heard of;
    `killed` whether SIGKILL was sent to its present life from here.
    """

    id: str
    task: Task
    life: int = 0
    live: bool = False
    starting: bool = False
    end: dict[str, Any] | None = None
    told_ns: int = 0
    out_of_memory: bool = False
    killed: bool = False


class DockerCell:
    """See `tenfold.cells.Cell` for what each method promises."""

    def __init__(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> None:
        self._plan = plan
        self._run = run
        self._hear = hear
        self._secrets = wishes.secrets
        self._project = project_of(run)
        self._of: dict[str, _Container] = {}
        self._by_id: dict[str, _Container] = {}
        self._held: dict[str, dict[str, HeldPort]] = {}
        self._watch: asyncio.Task[None] | None = None
        self._aside: set[asyncio.Task[None]] = set()
        self._closing = False

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Get the images, and create the network and the containers. None is started."""
        DockerProject(self._project).write(handle(self._run))
        announce(self._run, {task.label: task.address or "" for task in self._plan.tasks})
        self._hold_ports()
        await self._have_images()
        begin = time.time()
        await self._compose("up", "--no-start")
        tasks = {task.label: task for task in self._plan.tasks}
        for found in await containers(self._project):
            made = _Container(found.id, tasks[found.service])
            self._of[made.task.name] = self._by_id[made.id] = made
        if missing := [task.name for task in self._plan.tasks if task.name not in self._of]:
            raise TenfoldError(f"the engine created no container for {', '.join(missing[:5])}")
        for made in self._of.values():
            if made.task.publish or made.task.network == "host":
                await connect(f"{self._project}_outside", made.id)
        self._watch = asyncio.create_task(self._follow(begin, on_lost))
        self._watch.add_done_callback(lambda done: _lost(done, on_lost))
        return Protection("network", who_reaches(self._plan))

    def _hold_ports(self) -> None:
        for task in self._plan.tasks:
            for name in task.publish:
                held = hold_port(prefer=task.ports.get(name))
                self._held.setdefault(task.name, {})[name] = held

    async def _have_images(self) -> None:
        if self._plan.build is not None:
            log = self._run.path / "cell" / "build.log"
            await build_image(self._plan, log, self._hear.on_note)
        for image in {task.image for task in self._plan.tasks if task.image}:
            if self._plan.build is None or image != self._plan.image:
                await have_image(image, self._hear.on_note)

    async def _compose(self, *words: str) -> str:
        user = {"TENFOLD_UID": str(os.getuid()), "TENFOLD_GID": str(os.getgid())}
        env = dict(os.environ) | user | self._port_variables() | dict(self._secrets)
        path = self._run.path / "cell" / "compose.yaml"
        return await run_compose(self._project, path, words, env)

    def _port_variables(self) -> dict[str, str]:
        from tenfold.cells.docker.compose import published_variable

        return {
            published_variable(self._plan.task(name), port): str(held.port)
            for name, ports in self._held.items()
            for port, held in ports.items()
        }

    async def start(self, task: Task) -> Placed:
        """Start the task's container, and wait until its command runs."""
        made = self._of[task.name]
        for held in self._held.get(task.name, {}).values():
            held.release()
        made.starting, made.end, made.out_of_memory, made.killed = True, None, False, False
        try:
            await self._start_container(made)
            made.life = (await self._begun(made)).number
            pid = (await inspected(made.id)).get("Pid") or None
            made.live = True
            return Placed(pid, socket.gethostname())
        finally:
            made.starting = False
            if made.end is not None:
                end, made.end = made.end, None
                if made.live:
                    asyncio.get_running_loop().call_soon(self._ended, made, end)
                else:
                    made.life = max(made.life, self._life(made).number)

    async def _start_container(self, made: _Container) -> None:
        try:
            await docker_once_back(_ENGINE_BACK_S, "start", made.id)
        except EngineError as error:
            raise start_error(made.task, error) from error

    async def _begun(self, made: _Container) -> TaskLife:
        """The task's new life, once its command runs. Raises TenfoldError if it cannot."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            over = made.end is not None
            life = self._life(made)
            if life.number > made.life:
                if life.refused is not None:
                    raise TenfoldError(life.refused)
                if life.started is not None:
                    return life
            if over:
                raise TenfoldError(await first_words(made.id))
            await asyncio.sleep(_POLL_S)
        raise TenfoldError(f"its container did not start within {limit_text(_START_S)}")

    def _life(self, made: _Container) -> TaskLife:
        return TaskLife.read(self._run.task(made.task.label).life) or TaskLife()

    async def _follow(self, since: float, on_lost: Callable[[str], None]) -> None:
        """Receive every end until the cell is closed.

        This continues over a restart of the engine.
        """
        while True:
            async for event in events(self._project, since):
                self._heard(event)
            since = time.time() - 1
            self._hear.on_note("the Docker engine has stopped", "waiting for it to return")
            if not await wait_for_engine(_ENGINE_BACK_S):
                waited = limit_text(_ENGINE_BACK_S)
                on_lost(f"the Docker engine has stopped and did not return within {waited}")
                return
            self._hear.on_note("the Docker engine is back", None)
            await self._catch_up()

    def _heard(self, event: EngineEvent) -> None:
        made = self._by_id.get(event.container)
        if made is None:
            return
        match event.action:
            case "oom":
                made.out_of_memory = True
                self._hear.on_note(*memory_words(made.task))
            case "die" if event.stamp > made.told_ns:
                made.told_ns = event.stamp
                self._do_aside(self._learn_end(made, event))
            case "restart":
                self._hear.on_note(f"the container of {made.task.name} was restarted", None)
            case "destroy" if not self._closing:
                self._hear.on_note(f"the container of {made.task.name} was removed", None)

    async def _learn_end(self, made: _Container, event: EngineEvent) -> None:
        """Report an end.

        If nobody here sent the SIGKILL, the engine may know why.
        """
        state: dict[str, Any] = {}
        if event.exit_code == 128 + signal.SIGKILL and not made.killed:
            with contextlib.suppress(EngineError):
                state = await state_of(made.id)
        if made.told_ns == event.stamp:
            self._died(made, {**state, "ExitCode": event.exit_code})

    def _died(self, made: _Container, state: dict[str, Any]) -> None:
        if made.starting:
            made.end = state
        elif made.live:
            self._ended(made, state)

    async def _catch_up(self) -> None:
        """Report the ends that were missed while the engine was away."""
        for made in self._of.values():
            if not made.live:
                continue
            try:
                state = await state_of(made.id)
            except EngineError:
                continue  # it went away again, which is heard of next
            if not state.get("Running") and made.live:
                made.told_ns = time.time_ns()
                self._died(made, {**state, "EngineLeft": True})

    def _ended(self, made: _Container, state: dict[str, Any]) -> None:
        """Report the end as the task runner knows it.

        If the task runner was killed too, report what the engine knows.
        """
        life = self._life(made)
        code, number = int(state.get("ExitCode") or 0), None
        if life.number == made.life and life.ended is not None:
            told, number = life.exit_code, life.signal
        else:
            told, number = (None, code - 128) if code > 128 else (code, None)
        made.live = False
        directory = self._run.task(made.task.label)
        if life.number == made.life:
            with contextlib.suppress(OSError):
                files.remove(directory.ready)
        oom = made.out_of_memory or bool(state.get("OOMKilled"))
        if life.number == made.life:
            oom = oom or life.memory_kills > 0
        left = bool(state.get("EngineLeft")) and not made.killed
        seen = {**state, "OOMKilled": oom}
        ended = with_reason(Ended(told, number), made.task, seen, engine_left=left)
        self._hear.on_exit(made.task.name, ended)

    def signal(self, task: Task, number: int) -> None:
        """Signal the container's task runner, which passes it on.

        SIGKILL ends all processes.
        """
        made = self._of.get(task.name)
        if made is not None and made.live:
            made.killed = number == signal.SIGKILL
            self._do_aside(self._kill(made, number))

    def _do_aside(self, work: Coroutine[Any, Any, None]) -> None:
        doing = asyncio.create_task(work)
        self._aside.add(doing)
        doing.add_done_callback(self._aside.discard)

    async def _kill(self, made: _Container, number: int) -> None:
        with contextlib.suppress(EngineError):
            words = ("kill", "--signal", signal.Signals(number).name, made.id)
            await docker_once_back(_ENGINE_BACK_S, *words)

    async def is_ready(self, task: Task) -> bool:
        """Whether the task runner reports the task as ready."""
        return files.exists(self._run.task(task.label).ready)

    def address(self, task: Task) -> str | None:
        """The service's name on the run's network."""
        return task.address

    def urls(self, task: Task) -> dict[str, str]:
        """Published on this machine's loopback."""
        held = self._held.get(task.name, {})
        return {name: f"http://127.0.0.1:{one.port}/" for name, one in held.items()}

    async def close(self) -> None:
        """Remove the containers and the network. Waits for an engine that is away."""
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._aside:
            await asyncio.wait(self._aside, timeout=5)
        try:
            if files.exists(handle(self._run)):
                await remove(self._project, wait_s=_CLOSE_S)
        except TenfoldError as error:
            self._hear.on_note(
                f"containers of the run remain: {error.message}", "remove them with `tenfold down`"
            )
        for ports in self._held.values():
            for held in ports.values():
                held.close()


def _lost(watch: asyncio.Task[None], on_lost: Callable[[str], None]) -> None:
    if not watch.cancelled() and (error := watch.exception()):
        on_lost(f"the engine's events are not understood: {error}")


class DockerSupervisor(SupervisorSide):
    """Containers of this machine's Docker engine."""

    patience = Patience(kill_s=75.0)  # an engine that is away is waited for

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> DockerCell:
        """The cell of one run."""
        return DockerCell(plan, run, hear, wishes)


SUPERVISOR = DockerSupervisor()
