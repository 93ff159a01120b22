"""The supervisor's loop: clock, cell and run directory around `reconcile`.

Owns the writing of events.jsonl, and the readiness probes. What happens next is decided by
`reconcile` alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import traceback
from collections.abc import Callable
from pathlib import Path

from tenfold import files
from tenfold.appending import Reserve
from tenfold.cells import Cell, Ended, Handlers, Outcome, Patience, Protection
from tenfold.errors import TenfoldError
from tenfold.eventlog import EventLog
from tenfold.plans import Plan
from tenfold.rundir import RunDirectory, set_aside_damaged
from tenfold.states import State
from tenfold.supervise import failure, past
from tenfold.supervise.clock import steady_clock
from tenfold.supervise.figures import FigureWatch, Odd
from tenfold.supervise.lingering import Lingerers
from tenfold.supervise.presence import Presence
from tenfold.supervise.reconcile import Actions, Retry, step
from tenfold.supervise.restart import spent_restarts
from tenfold.supervise.standstill import Standstill
from tenfold.supervise.state import (
    ClusterState,
    TaskState,
    ending,
    signal_name,
)
from tenfold.supervise.statuses import Statuses
from tenfold.supervise.stop import Signal
from tenfold.supervise.waits import WaitWords

MakeCell = Callable[[Handlers], Cell]

_TICK_S = 0.25
_PROBE_S = 0.1
_WRITE_S = 0.02
_RESERVE_BYTES, _TASK_RESERVE_BYTES = 1 << 16, 1 << 13


class Supervisor:
    """Runs one plan in one run directory, from the first start to the last exit."""

    def __init__(
        self,
        plan: Plan,
        run: RunDirectory,
        make_cell: MakeCell,
        *,
        keep: bool = False,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        presence: Presence | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._run = run
        self._presence = presence
        self._clock = clock or steady_clock()
        self._state = ClusterState.of(plan, keep, past.retried(run), patience)
        self._resumed = past.resumed(run)
        handlers = (self._on_exit, self._on_note, self._on_stop, self._on_disk, self._on_left)
        self._cell = make_cell(Handlers(*handlers))
        self._events = EventLog(run.events, self._clock)
        self._reserve = Reserve(run.path, _RESERVE_BYTES + _TASK_RESERVE_BYTES * len(plan.tasks))
        """For the last words, should the disk be full by then."""
        self._wake = asyncio.Event()
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._hosts: dict[str, str] = {}
        self._broken: BaseException | None = None
        self._left: str | None = None
        """Why the run was left, to be gone on with by a supervisor that its place will start."""
        self._noted = State.STARTING
        self._lingerers = Lingerers()
        self._figures = FigureWatch(run)
        self._standstill = Standstill(
            run, self._state, self._events, self._clock, self._hosts, self._wake.set
        )
        self._statuses = Statuses(
            run,
            self._state,
            self._cell,
            self._clock,
            self._hosts,
            lambda: self._standstill.told,
            self._resumed,
            self._figures,
        )

    async def run(self) -> str:
        """Bring the cluster up and keep it until it ends; gives the final state.

        Nothing of the run is left when this returns, whatever it raises.
        """
        damaged = set_aside_damaged(self._run)
        self._write_status()
        self._events.write("cluster-starting", run=self._run.run)
        aside = [(str(path), to.name) for path, to in damaged] + past.set_aside(self._run)
        for path, to in aside:
            self._events.write("set-aside", file=path, **{"as": to})
        if self._resumed is not None:
            self._events.write("resumed", **self._resumed)
        try:
            try:
                self._statuses.protection = await self._open()
                if self._statuses.protection is not None:
                    self._standstill.open()
                    await self._loop()
            finally:
                self._standstill.close()
                for pending in (*self._starts.values(), *self._probes.values()):
                    pending.cancel()
                await self._cell.close()
        except TenfoldError as error:
            self._fail(error.message, error.hint)
        except Exception as error:
            with contextlib.suppress(OSError):  # a full disk
                traceback.print_exception(error)
            self._fail(f"tenfold itself failed: {error}", f"see {self._run.supervisor_log}")
        if self._left is not None:
            self._leave(self._left)
        self._finish()
        return self._state.phase

    def _leave(self, reason: str) -> None:
        for state in self._state.tasks.values():
            if not state.phase.is_terminal:
                state.phase, state.pid = State.WAITING, None
        self._state.phase, self._state.reason = State.STARTING, reason
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
            state.phase = State.STOPPED
        self._state.phase = self._state.outcome or State.STOPPED

    def _fail(self, message: str, hint: str | None) -> None:
        self._state.outcome, self._state.phase = State.FAILED, State.FAILED
        self._state.reason = message
        for state in self._state.tasks.values():
            if not state.phase.is_terminal:
                state.phase, state.pid = State.STOPPED, None
        self._events.write("error", message=message, hint=hint)

    async def _loop(self) -> None:
        while self._broken is None and self._left is None:
            self._wake.clear()
            actions = step(self._state, self._clock())
            self._note(actions)
            self._note_figures()
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
        if self._noted != phase and self._noted in {State.RUNNING, State.STOPPING}:
            self._events.write(f"cluster-{self._noted}", reason=self._state.reason)
        for message, hint in self._lingerers.news(self._state, self._clock()):
            self._on_note(message, hint)

    def _note_figures(self) -> None:
        """Tell of figures that are not finite, once each."""
        if self._figures.due(self._clock()):
            live = (name for name, state in self._state.tasks.items() if state.live)
            self._tell_odd(self._figures.look(live))

    def _tell_odd(self, news: list[Odd]) -> None:
        for odd in news:
            rest = {key: value for key, value in odd.items() if key != "task"}
            self._events.write("not-finite", odd["task"], **rest)

    def _note_retry(self, retry: Retry) -> None:
        state, now = retry.task, self._clock()
        name, rule = state.task.name, state.task.restart
        self._events.write(
            "task-retried",
            name,
            in_s=round(max(0.0, state.start_at - now), 3),
            attempt=spent_restarts(failure.sharing(self._state, state), now),
            limit=rule.limit,
            scope=rule.scope,
            anew=rule.scope != "task" and not self._has_checkpoint(),
            because=state.reason or ending(state.exit_code, state.signal),
        )
        for other in retry.others:
            self._events.write("restarted-with", other.task.name, because=name)

    def _has_checkpoint(self) -> bool:
        """Whether anything is in the run's `checkpoints/`. Scripts may save elsewhere, unseen."""
        return bool(files.names(self._run.shared("checkpoints")))

    def _give_up(self, state: TaskState) -> None:
        name, pid = state.task.name, state.pid
        self._end_probe(name)
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
            self._state.observe_beginning(name)
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
        started, said = state.started, WaitWords(self._run.task(state.task.label))
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._cell.is_ready(state.task):
                    if words := said.news():
                        self._events.write("task-waits", state.task.name, words=words)
                    await asyncio.sleep(_PROBE_S)
        except TimeoutError:
            self._state.observe_unready(state.task.name, self._clock(), said.words)
            self._events.write(
                "task-unready", state.task.name, timeout_s=timeout_s, words=said.words
            )
            self._wake.set()
            return
        if state.started == started:
            self._ready(state.task.name)

    def _ready(self, name: str) -> None:
        if self._state.observe_ready(name, self._clock()):
            self._events.write("task-ready", name)
            self._wake.set()

    def _on_left(self, name: str, ended: Ended) -> None:
        self._end_probe(name)
        self._state.observe_left(name, ended, self._clock())
        code, number = ended.exit_code, ended.signal
        self._events.write("task-left", name, exit_code=code, signal=number and signal_name(number))
        self._wake.set()

    def _end_probe(self, name: str) -> None:
        if probe := self._probes.pop(name, None):
            probe.cancel()
        self._tell_odd(self._figures.look([name]))

    def _on_exit(self, name: str, ended: Ended) -> None:
        self._end_probe(name)
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

    def _on_disk(self, place: Path, lost: int | None) -> None:
        if lost is None:
            self._events.write("disk-full", path=str(place))
        else:
            self._events.write("disk-back", path=str(place), lost_bytes=lost)

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

    def _write_status(self, at_most_s: float = _WRITE_S) -> None:
        self._put_back()
        self._events.flush()
        if self._statuses.write(at_most_s):
            self._wake.set()

    def _put_back(self, *, at_once: bool = False) -> None:
        """Put back what tasks have removed of the run directory, and say so."""
        back = self._presence.look(at_once=at_once) if self._presence else []
        if back:
            self._events.keep()
            self._statuses.look_again()
            message = f"removed while the run went on: {' and '.join(back)}; put back"
            self._events.write("note", message=message, hint="find out which task removes it")

    def _finish(self) -> None:
        self._reserve.give_back()
        self._put_back(at_once=True)
        self._events.keep()
        self._statuses.look_again()
        self._write_status(math.inf)
        self._events.write(f"cluster-{self._state.phase}", reason=self._state.reason)
        self._events.close()
