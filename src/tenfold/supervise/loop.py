"""The supervisor's loop: clock, cell and run directory around `reconcile`.

Owns the writing of status.json, the tasks' status.json and events.jsonl, and the readiness
probes. What happens next is decided by `reconcile` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
import traceback
from collections.abc import Callable
from typing import Any

from tenfold.cells import Cell, Ended, Handlers, Outcome, Protection
from tenfold.errors import TenfoldError
from tenfold.logs import last_lines
from tenfold.plans import Plan
from tenfold.rundir import EventLog, RunDirectory, write_json
from tenfold.supervise import failure, past
from tenfold.supervise.clock import steady_clock
from tenfold.supervise.reconcile import Actions, Retry, step
from tenfold.supervise.restart import spent_restarts
from tenfold.supervise.state import (
    OVER,
    ClusterState,
    Death,
    TaskState,
    ending,
    signal_name,
)
from tenfold.supervise.stop import Signal

MakeCell = Callable[[Handlers], Cell]

HEARTBEAT_S = 1.0
_TICK_S = 0.25
_PROBE_S = 0.1
LAST_LINES = 20


class Supervisor:
    """Runs one plan in one run directory, from the first start to the last exit."""

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        make_cell: MakeCell,
        *,
        keep: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._run = run
        self._clock = clock or steady_clock()
        self._state = ClusterState.of(plan, keep, past.retried(run))
        self._resumed = past.resumed(run)
        self._cell = make_cell(Handlers(self._on_exit, self._on_note, self._on_stop))
        self._events = EventLog(run.events)
        self._wake = asyncio.Event()
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._hosts: dict[str, str] = {}
        self._written: dict[str, dict[str, Any]] = {}
        self._broken: BaseException | None = None
        self._left: str | None = None
        """Why the run was left, to be gone on with by a supervisor that its place will start."""
        self._beat = 0.0
        self._noted = "starting"
        self._told: tuple[str, str | None] | None = None
        self._host = socket.gethostname()
        self._began = self._clock()
        self._protection: Protection | None = None

    async def run(self) -> str:
        """Bring the cluster up and keep it until it ends; gives the final state.

        Nothing of the run is left when this returns, whatever it raises.
        """
        self._write_status()
        self._events.write("cluster-starting", run=self._run.run)
        if self._resumed is not None:
            self._events.write("resumed", **self._resumed)
        try:
            try:
                self._protection = await self._open()
                if self._protection is not None:
                    await self._loop()
            finally:
                for pending in (*self._starts.values(), *self._probes.values()):
                    pending.cancel()
                await self._cell.close()
        except TenfoldError as error:
            self._fail(error.message, error.hint)
        except Exception as error:
            traceback.print_exception(error)
            self._fail(f"tenfold itself failed: {error}", f"see {self._run.supervisor_log}")
        if self._left is not None:
            self._leave(self._left)
        self._finish()
        return self._state.phase

    def _leave(self, reason: str) -> None:
        for state in self._state.tasks.values():
            if state.phase not in OVER:
                state.phase, state.pid = "waiting", None
        self._state.phase, self._state.reason = "starting", reason
        self._state.outcome = None
        self._events.write("note", message=reason, hint=None)

    async def _open(self) -> Protection | None:
        """Open the cell; None if the run was to end before that was done."""
        opening = asyncio.create_task(self._cell.open(self._cell_lost))
        while not opening.done():
            self._wake.clear()
            waiting = asyncio.create_task(self._wake.wait())
            await asyncio.wait({opening, waiting}, timeout=_TICK_S,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            waiting.cancel()
            self._write_status()
            if not opening.done() and (self._state.stop_since or self._left):
                opening.cancel()
                with contextlib.suppress(asyncio.CancelledError, TenfoldError):
                    await opening
                self._close_early()
                return None
        return opening.result()

    def _close_early(self) -> None:
        for state in self._state.tasks.values():
            state.phase = "stopped"
        self._state.phase = self._state.outcome or "stopped"

    def _fail(self, message: str, hint: str | None) -> None:
        self._state.outcome, self._state.phase = "failed", "failed"
        self._state.reason = message
        for state in self._state.tasks.values():
            if state.phase not in OVER:
                state.phase, state.pid = "stopped", None
        self._events.write("error", message=message, hint=hint)

    async def _loop(self) -> None:
        while self._broken is None and self._left is None:
            self._wake.clear()
            actions = step(self._state, self._clock())
            self._note(actions)
            for signal in actions.signals:
                self._send(signal)
            for state in actions.unkillable:
                self._give_up(state)
            for state in actions.start:
                self._begin(state)
            if self._state.stop_since is not None:
                for begun in self._starts.values():
                    begun.cancel()
            self._write_status()
            if actions.over:
                return
            await self._pause()
        if self._broken is not None:
            raise self._broken

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), _TICK_S)
        except TimeoutError:
            return

    def _note(self, actions: Actions) -> None:
        for retry in actions.retried:
            self._note_retry(retry)
        phase, self._noted = self._noted, self._state.phase
        if self._noted != phase and self._noted in {"running", "stopping"}:
            self._events.write(f"cluster-{self._noted}", reason=self._state.reason)

    def _note_retry(self, retry: Retry) -> None:
        state, now = retry.task, self._clock()
        name, rule = state.task.name, state.task.restart
        self._events.write(
            "task-retried",
            name,
            in_s=round(max(0.0, state.start_at - now), 3),
            attempt=spent_restarts(state, now),
            limit=rule.limit,
            scope=rule.scope,
            because=state.reason or ending(state.exit_code, state.signal),
        )
        for other in retry.others:
            self._events.write("restarted-with", other.task.name, because=name)

    def _give_up(self, state: TaskState) -> None:
        name, pid = state.task.name, state.pid
        self._state.give_up(name, self._clock())
        self._events.write("task-unkillable", name, pid=pid)

    def _send(self, signal: Signal) -> None:
        state = self._state.tasks[signal.task]
        name = signal_name(signal.number)
        state_kill = name == "SIGKILL"
        self._events.write("task-signalled", signal.task, signal=name)
        self._cell.signal(state.task, signal.number)
        self._state.observe_told(signal.task, self._clock(), kill=state_kill)

    def _begin(self, state: TaskState) -> None:
        """Start a task on the side: what it is forked from may take seconds to be ready."""
        name = state.task.name
        if name not in self._starts:
            self._starts[name] = asyncio.create_task(self._start(state))
            self._starts[name].add_done_callback(lambda done: self._begun(name, done))

    def _begun(self, name: str, done: asyncio.Task[None]) -> None:
        del self._starts[name]
        if not done.cancelled() and (error := done.exception()):
            self._broken = error
        self._wake.set()

    async def _start(self, state: TaskState) -> None:
        again = state.started is not None
        name = state.task.name
        try:
            placed = await self._cell.start(state.task)
        except TenfoldError as error:
            self._state.observe_refused(name, error.message, self._clock())
            self._events.write("task-refused", name, reason=error.message)
            return
        state.restarts += again
        self._hosts[name] = placed.host
        self._state.observe_started(name, placed.pid, self._clock())
        self._events.write(
            "task-started", name, pid=placed.pid, host=placed.host, restarts=state.restarts
        )
        self._await_ready(state)

    def _await_ready(self, state: TaskState) -> None:
        name = state.task.name
        if state.task.ready is None:
            self._ready(name)
        else:
            self._probes[name] = asyncio.create_task(self._probe(state, state.task.ready.timeout_s))

    async def _probe(self, state: TaskState, timeout_s: float) -> None:
        started = state.started
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._cell.is_ready(state.task):
                    await asyncio.sleep(_PROBE_S)
        except TimeoutError:
            self._state.observe_unready(state.task.name, self._clock())
            self._events.write("task-unready", state.task.name, timeout_s=timeout_s)
            self._wake.set()
            return
        if state.started == started:
            self._ready(state.task.name)

    def _ready(self, name: str) -> None:
        self._state.observe_ready(name, self._clock())
        self._events.write("task-ready", name)
        self._wake.set()

    def _on_exit(self, name: str, ended: Ended) -> None:
        if probe := self._probes.pop(name, None):
            probe.cancel()
        self._state.observe_exit(name, ended, self._clock())
        self._events.write(
            "task-exited",
            name,
            exit_code=ended.exit_code,
            signal=ended.signal and signal_name(ended.signal),
            state=self._state.tasks[name].phase,
            reason=ended.reason,
            cause=ended.cause,
        )
        self._wake.set()

    def _on_note(self, message: str, hint: str | None) -> None:
        self._events.write("note", message=message, hint=hint)

    def _on_stop(self, outcome: Outcome, reason: str) -> None:
        if outcome == "again":
            self._left = reason
        elif self._state.stop_since is None:
            self._state.begin_stop(outcome, reason, self._clock())
        self._wake.set()

    async def told_to_end(self, why: Callable[[], tuple[Outcome, str] | None], words: str) -> None:
        """Its place ends the supervisor: stop the run, as `why`, or else `words`, says."""
        told = None
        with contextlib.suppress(TenfoldError):
            told = await asyncio.to_thread(why)
        if told is not None and self._state.stop_since is None:
            self._on_stop(*told)
        else:
            self.stop(words)

    def _cell_lost(self, reason: str) -> None:
        self._state.observe_cell_lost(reason, self._clock())
        self._wake.set()

    def stop(self, reason: str) -> None:
        """End the run gently; called again, at once."""
        self._state.ask_stop(reason, self._clock())
        self._wake.set()

    def kill(self, reason: str) -> None:
        """End the run at once."""
        self._state.ask_stop(reason, self._clock())
        self._state.kill = True
        self._wake.set()

    def restart(self, names: list[str]) -> list[str]:
        """Start these tasks anew; gives those that could not be asked."""
        refused = [name for name in names if not self._state.ask_restart(name)]
        for name in set(names) - set(refused):
            self._events.write("restart-asked", name)
        self._wake.set()
        return refused

    def _write_status(self) -> None:
        changed = False
        for name, state in self._state.tasks.items():
            status = self._task_status(state)
            if self._written.get(name) != status and self._keep_task_status(state, status):
                self._written[name] = status
                changed = True
        now = self._clock()
        told = (self._state.phase, self._state.outcome)
        changed, self._told = changed or told != self._told, told
        if changed or now - self._beat >= HEARTBEAT_S or self._state.phase in OVER:
            self._beat = now
            with contextlib.suppress(OSError):  # a full disk: told again at the next beat
                write_json(self._run.status, self._cluster_status(now))

    def _keep_task_status(self, state: TaskState, status: dict[str, Any]) -> bool:
        """Write a task's status; False if the disk does not take it now."""
        directory = self._run.task(state.task.label)
        try:
            directory.path.mkdir(mode=0o700, exist_ok=True)
            write_json(directory.status, status)
        except OSError:
            return False
        return True

    def _task_status(self, state: TaskState) -> dict[str, Any]:
        opened = self._protection is not None
        urls = self._cell.urls(state.task) if opened else {}
        return {
            "version": 1,
            "task": state.task.name,
            "job": state.task.job,
            "index": state.task.index,
            "state": state.phase,
            "address": self._cell.address(state.task) if opened else None,
            "host": self._hosts.get(state.task.name),
            "pid": state.pid,
            "restarts": state.restarts,
            "exit_code": state.exit_code,
            "signal": state.signal and signal_name(state.signal),
            "reason": state.reason,
            "cause": state.cause,
            "retried": state.retried,
            "url": next(iter(urls.values()), None),
            "urls": urls,
            "started": state.started,
            "ready": state.ready,
            "ended": state.ended,
        }

    def _cluster_status(self, now: float) -> dict[str, Any]:
        first = failure.first_failure(self._state.deaths)
        failed = self._state.outcome == "failed" and first is not None
        over = self._state.phase in OVER
        return {
            "version": 1,
            "cluster": self._run.cluster,
            "run": self._run.run,
            "cell": self._state.plan.cell,
            "state": self._state.phase,
            "outcome": self._state.outcome,
            "reason": self._state.reason,
            "started": self._began,
            "updated": time.time(),  # views hold it against the machine's own clock
            "ended": now if over else None,
            "host": self._host,
            "supervisor_pid": os.getpid(),
            "protection": self._protection and self._protection.kind,
            "protection_words": self._protection and self._protection.words,
            "resumed_from": self._resumed,
            "first_failure": self._account(first) if failed and first else None,
            "consequences": [
                _told(death) for death in failure.consequences(self._state.deaths) if failed
            ],
        }

    def _account(self, death: Death) -> dict[str, Any]:
        label = self._state.tasks[death.task].task.label
        return _told(death) | {"lines": last_lines(self._run.task(label), LAST_LINES)}

    def _finish(self) -> None:
        self._write_status()
        self._events.write(f"cluster-{self._state.phase}", reason=self._state.reason)
        self._events.close()


def _told(death: Death) -> dict[str, Any]:
    return {
        "task": death.task,
        "time": death.time,
        "exit_code": death.exit_code,
        "signal": death.signal and signal_name(death.signal),
        "words": death.words,
        "reason": death.reason,
        "cause": death.cause,
    }
