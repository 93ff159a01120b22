"""Tells a URL or a command what happens to a run. Supervision never waits for it.

Each notice is delivered by a process of its own, which is killed with all its children after
`LIMIT_S`. What came of it is an event: `notified`, or `notify-failed` with its last output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.base.interpreter import own
from tenfold.base.secrets import veiled, veiled_all
from tenfold.planning.notify import URL_VARIABLE, NotifyTarget
from tenfold.planning.plan import Plan
from tenfold.run.eventlog import EventLog
from tenfold.run.rundir import RunDirectory
from tenfold.supervise.notices import Notice
from tenfold.supervise.state import ClusterState

LIMIT_S = 10.0
"""Seconds after which a delivery is killed.

The end of a run waits for its last one this long.
"""

MOST_AT_ONCE = 4
"""The number of deliveries at a time. News of restarts beyond that are not told."""

_MOST_OUTPUT = 4096
_LONGEST_WORDS = 1000
_LAST_OUTPUT_S = 0.2


class Notifier:
    """Delivers the notices of one run."""

    def __init__(
        self, plan: Plan, run: RunDirectory, state: ClusterState, events: EventLog
    ) -> None:
        self._plan = plan
        self._run = run
        self._state = state
        self._events = events
        self._begun = time.time()
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, notice: Notice) -> None:
        """Begin to deliver a notice, if the target wants to hear of it. Never raises."""
        target = self._plan.notify
        if target is None or notice.about not in target.on:
            return
        if len(self._under_way) >= MOST_AT_ONCE and notice.about == "restarted":
            words = f"{MOST_AT_ONCE} notifications are still being delivered"
            self._failed(target, notice, words)
            return
        delivery = asyncio.create_task(self._deliver(target, notice, self._facts(notice)))
        self._under_way.add(delivery)
        delivery.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Wait until everything is delivered, or has failed: `LIMIT_S` at most."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=LIMIT_S + 1.0)

    async def _deliver(self, target: NotifyTarget, notice: Notice, facts: dict[str, Any]) -> None:
        begun = time.monotonic()
        try:
            code, output = await self._run_process(target, facts)
        except TimeoutError:
            self._failed(target, notice, f"no answer within {LIMIT_S:g} s")
        except (OSError, ValueError) as error:
            self._failed(target, notice, getattr(error, "strerror", None) or str(error))
        else:
            if code == 0:
                in_s = round(time.monotonic() - begun, 3)
                said = {"output": output} if output else {}
                self._events.write("notified", about=notice.about, to=target.shown, in_s=in_s,
                                   **said)  # fmt: skip
            else:
                how = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
                words = output if target.url is not None and output else f"{how}: {output}"
                self._failed(target, notice, words.removesuffix(": "))

    def _failed(self, target: NotifyTarget, notice: Notice, words: str) -> None:
        self._events.write("notify-failed", about=notice.about, to=target.shown, message=words)

    async def _run_process(self, target: NotifyTarget, facts: dict[str, Any]) -> tuple[int, str]:
        """The exit code and the end of the output of the process that delivers `facts`.

        Raises TimeoutError after `LIMIT_S`, and OSError if the process cannot be started.
        """
        if target.url is not None:
            command, env = own("tenfold.supervise.post"), _plain_environment()
            given = json.dumps({"url": target.url, "format": target.format, "facts": facts})
        else:
            command, given = list(target.command), json.dumps(facts)
            env = _plain_environment() | variables(facts)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=env,
            cwd=self._directory(),
            start_new_session=True,
        )
        end = _End()
        reading = asyncio.create_task(end.read(process.stdout))
        try:
            async with asyncio.timeout(LIMIT_S):
                await _give(process.stdin, given.encode())
                code = await process.wait()
                await asyncio.wait({reading}, timeout=_LAST_OUTPUT_S)
                return code, veiled(end.text)
        finally:
            reading.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def _directory(self) -> str | None:
        directory = Path(self._plan.directory)
        return str(directory) if directory.is_dir() else None

    def _facts(self, notice: Notice) -> dict[str, Any]:
        """What a notice tells: the JSON that a command and a generic URL get."""
        words = notice.words[:_LONGEST_WORDS]
        made = {
            "version": 1,
            "event": notice.about,
            "title": f"{self._plan.cluster} {_TITLES[notice.about]}",
            "text": f"{self._plan.cluster} {words}",
            "cluster": self._plan.cluster,
            "run": self._run.run,
            "directory": str(self._run.path),
            "cell": self._plan.cell,
            "host": socket.gethostname(),
            "state": str(self._state.phase),
            "reason": self._state.reason,
            "task": notice.task,
            "tasks": list(notice.tasks[:100]),
            "report": notice.report,
            "time": round(time.time(), 3),
            "seconds": round(time.time() - self._begun, 3),
        }
        told: dict[str, Any] = veiled_all(made)
        return told


_TITLES: Mapping[str, str] = {
    "ended": "ended",
    "failed": "failed",
    "hung": "hangs",
    "restarted": "restarts tasks",
}


class _End:
    """The end of a process's output. The rest is read and dropped."""

    def __init__(self) -> None:
        self._data = b""

    async def read(self, stream: asyncio.StreamReader | None) -> None:
        """Read to the end."""
        while stream is not None and (piece := await stream.read(65_536)):
            self._data = (self._data + piece)[-_MOST_OUTPUT:]

    @property
    def text(self) -> str:
        """The text, without the space around it."""
        return self._data.decode(errors="replace").strip()


async def _give(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    """Write the input of a process. It does not have to read it."""
    with contextlib.suppress(ConnectionError):
        if stream is not None:
            stream.write(data)
            await stream.drain()
            stream.close()


def _plain_environment() -> dict[str, str]:
    """The supervisor's environment, without the URL that only a supervisor needs."""
    return {name: value for name, value in os.environ.items() if name != URL_VARIABLE}


def variables(facts: Mapping[str, Any]) -> dict[str, str]:
    """The facts as `TENFOLD_*` variables. Those that are not known are left out.

    The run's directory is TENFOLD_DIRECTORY: a process with TENFOLD_RUN_DIRECTORY is a task.
    """
    made = {}
    for name, value in facts.items():
        if value is not None and name != "version":
            text = " ".join(value) if isinstance(value, list) else str(value)
            made[f"TENFOLD_{name.upper()}"] = text.replace("\0", "")
    return made
