"""The task runner: it runs one task where a cell has placed it.

Sets the environment, runs the user's command as its child, captures its output into the run
directory, passes signals on, finds out when it is ready, and tells the true exit. Whoever started
it hears of all that as `TaskLife`. Which ports there are and what the peers' addresses are, it is
told (see `container` and `agent`, which run it).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tenfold.base.quantities import limit_text
from tenfold.cluster.command_line import split
from tenfold.errors import TenfoldError
from tenfold.frameworks import Addresses
from tenfold.frameworks.ranks import is_loopback
from tenfold.launch.children import Children
from tenfold.launch.signals import signal_group
from tenfold.planning.plan import Bound, Plan, ReadinessCheck, Task
from tenfold.run import files
from tenfold.run.lives import TaskLife
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.awaited import AwaitedLine, awaited_line
from tenfold.tasks.capture import Capture, DataHandler
from tenfold.tasks.environment import task_environment
from tenfold.tasks.memory import own_kills
from tenfold.tasks.readiness import PROBE_S, answer
from tenfold.tasks.remainder import Remainder
from tenfold.tasks.unready import Unready, how_it_ended, recorder, spoken
from tenfold.traffic.book import resolve
from tenfold.traffic.sampler import Sampler

_PROBE_EVERY_S = 0.2
_NAME_S = 1.0


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a task's host gave it: ports by name, a listen address and variables.

    Its pages listen on that address.
    """

    ports: Mapping[str, int]
    addresses: Addresses
    inherited: Mapping[str, str]
    bind: str = "127.0.0.1"


class Runner:
    """Runs one task, life after life. All runners of a process share its `Children`.

    Attributes:
        tell: who hears of the life: at its start, when it is ready, at its end.
    """

    def __init__(
        self,
        plan: Plan,
        task: Task,
        run: RunDirectory,
        children: Children,
        tell: Callable[[TaskLife], None],
        on_data: DataHandler = lambda *_: None,
        *,
        alone: bool = True,
        sampler: Sampler | None = None,
    ) -> None:
        """`alone`: all processes that this one inherits are the task's.

        They end with it.
        """
        self._sampler = sampler
        self._plan = plan
        self._task = task
        self._run = run
        self.tell = tell
        self._on_data = on_data
        self._alone = alone
        self._children = children
        self._remainder: Remainder | None = None
        self._line: AwaitedLine | None = None
        self._line_came = asyncio.Event()
        self._unready = Unready(run.task(task.label))

    def signal(self, number: int) -> None:
        """Signal the command and its child processes, if any run."""
        if self._remainder is not None:
            self._remainder.signal(number)

    async def live(self, number: int, place: HostSettings) -> TaskLife:
        """Run the command to its end as life `number`, and return that life.

        Raises TenfoldError, and tells of it, if the command cannot be started.
        """
        host = socket.gethostname()
        life = TaskLife(number, host, await _addresses(host))
        files.make_directory(self._run.task(self._task.label).path)
        try:
            bound = self._bound(place)
            capture = self._capture()
            pid, end = self._spawn(bound, capture)
        except (OSError, TenfoldError) as error:
            life = replace(life, ended=time.time(), refused=_words(self._task, error))
            self.tell(life)
            return life
        orphans = self._children.orphans if self._alone else list[int]
        self._remainder = Remainder(pid, self._plan.stop_grace_s, orphans)
        life = replace(life, pid=pid, started=time.time())
        self.tell(life)
        capture.start()
        if self._sampler is not None:
            self._sampler.begin(self._task.name, pid)
        return await self._watch(life, bound, place, capture, end, self._remainder)

    def _capture(self) -> Capture:
        directory, limit = self._run.task(self._task.label), self._plan.log_limit
        tasks = len(self._plan.tasks)
        return Capture(directory, self._heard, limit, self._disk_heard, tasks=tasks)

    def _disk_heard(self, lost: int | None) -> None:
        """Report a full disk on this process's own output.

        The task's log on the full disk cannot contain the report.
        """
        words = "does not take the output" if lost is None else f"{lost:,} bytes of output lost"
        with contextlib.suppress(OSError):
            print(f"{self._task.name}: disk full: {words}", file=sys.stderr, flush=True)

    def _bound(self, place: HostSettings) -> Bound:
        bound = task_environment(
            self._plan,
            self._task,
            place.addresses,
            place.ports,
            self._run,
            place.inherited,
            place.bind,
        )
        ready = bound.ready
        wanted = (ready.port or "main") if ready and ready.kind in ("tcp", "http") else None
        if wanted is not None and wanted not in place.ports:
            raise TenfoldError(
                f"the cell assigned it no port {wanted}, which its readiness check needs"
            )
        self._line_came.clear()
        self._line = awaited_line(bound)
        return bound

    def _spawn(self, bound: Bound, capture: Capture) -> tuple[int, asyncio.Future[int]]:
        try:
            return self._children.spawn(bound.command, bound.env, bound.workdir, capture.write_ends)
        except BaseException:
            capture.close()
            raise

    def _heard(self, stream: str, data: bytes) -> None:
        self._on_data(stream, data)
        self._unready.heard(data)
        if self._line is not None and self._line.is_in(stream, data):
            self._line_came.set()

    async def _watch(
        self,
        life: TaskLife,
        bound: Bound,
        place: HostSettings,
        capture: Capture,
        end: asyncio.Future[int],
        remainder: Remainder,
    ) -> TaskLife:
        kills = own_kills()
        probe = asyncio.create_task(self._probe(bound, place))
        both: tuple[asyncio.Future[Any], ...] = (probe, end)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        self._unready.clear()
        if not end.done():
            life = replace(life, ready=time.time())
            self.tell(life)
        code = await end
        probe.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await probe
        await remainder.end()
        self._remainder = None
        if self._sampler is not None:
            self._sampler.end(self._task.name)
        capture.close()
        life = replace(
            life,
            memory_kills=own_kills() - kills,
            ended=time.time(),
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
        )
        self.tell(life)
        return life

    async def _probe(self, bound: Bound, place: HostSettings) -> None:
        """Wait until the task is ready."""
        ready = bound.ready
        if ready is None:
            return
        port = place.ports.get(ready.port or "main")
        self._unready = Unready(self._run.task(self._task.label))
        while not await self._try_telling(ready, bound, place, port):
            if self._unready.due() and self._remainder is not None:
                await asyncio.to_thread(self._unready.tell, ready, self._remainder.group, port)
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _try_telling(
        self, ready: ReadinessCheck, bound: Bound, place: HostSettings, port: int | None
    ) -> bool:
        attempt = self._is_ready(ready, bound, place)
        if self._remainder is None or ready.kind != "command":
            return await attempt
        return await self._unready.telling(attempt, ready, self._remainder.group, port)

    async def _is_ready(self, ready: ReadinessCheck, bound: Bound, place: HostSettings) -> bool:
        if ready.kind == "log":
            return self._line_came.is_set()
        if ready.kind == "command":
            return await self._command_ends_well(ready, bound)
        port = place.ports[ready.port or "main"]
        own = bound.env["TENFOLD_ADDRESS"].rpartition(":")[0]
        for host in dict.fromkeys(("127.0.0.1", own)):
            if await self._can_be_used(host, port, ready):
                return True
        return False

    async def _can_be_used(self, host: str, port: int, ready: ReadinessCheck) -> bool:
        with socket.socket() as made:
            made.setblocking(False)
            try:
                if self._sampler is not None and is_loopback(host):
                    self._sampler.mark(made, port)
                async with asyncio.timeout(PROBE_S):
                    await asyncio.get_running_loop().sock_connect(made, (host, port))
                said = await answer(made, ready.target) if ready.kind == "http" else None
                self._unready.answer = said
                return said is None
            except (OSError, TimeoutError):
                self._unready.answer = None
                return False

    async def _command_ends_well(self, ready: ReadinessCheck, bound: Bound) -> bool:
        output = recorder(lambda: os.open(os.devnull, os.O_RDWR))
        end: asyncio.Future[int] | None = None
        try:
            argv = split(ready.target)
            pid, end = self._children.spawn(argv, bound.env, bound.workdir, (output, output))
            async with asyncio.timeout(ready.timeout_s):
                code = await asyncio.shield(end)
            self._unready.answer = f"{how_it_ended(code)}{spoken(output)}"
            return code == 0
        except TimeoutError:
            self._unready.answer = f"has not ended within {limit_text(ready.timeout_s)}"
            return False
        except OSError as error:
            self._unready.answer = f"cannot be started: {error.strerror or error}"
            return False
        finally:
            os.close(output)
            if end is not None and not end.done():
                signal_group(pid, signal.SIGKILL)


async def _addresses(host: str) -> tuple[str, ...]:
    """The IP addresses of this host, if it can determine them at once."""
    with contextlib.suppress(TimeoutError):
        found = asyncio.to_thread(resolve, host)
        return tuple(await asyncio.wait_for(found, _NAME_S))
    return ()


def _words(task: Task, error: Exception) -> str:
    """Why a command could not be started.

    The text continues a sentence that begins with the task's name.
    """
    if isinstance(error, TenfoldError):
        return error.message
    reason = error.strerror if isinstance(error, OSError) else str(error)
    named = getattr(error, "filename", None) or task.command[0]
    return f"{named}: {reason}"
