"""The supervisor's loop: clock, cell and run directory around `reconcile`.

Tells the state what happens (`observe_…`, `ask_…`), and carries out the actions of each step. The
loop changes no state and decides nothing: only `reconcile` does (tests/supervise/test_owners.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tenfold.cells import Cell, Ended, Handlers, Outcome, Patience, Protection
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan, Task
from tenfold.run.appending import Reserve
from tenfold.run.eventlog import EventLog
from tenfold.run.resumed import SetAside
from tenfold.run.rundir import RunDirectory, set_aside_damaged
from tenfold.run.statusfiles import OddFigure
from tenfold.supervise import past
from tenfold.supervise.clock import steady_clock
from tenfold.supervise.deaths import signal_name
from tenfold.supervise.figures import FigureWatch
from tenfold.supervise.journal import Journal
from tenfold.supervise.notifier import Notifier
from tenfold.supervise.presence import Presence
from tenfold.supervise.reconcile import Actions, step
from tenfold.supervise.standstill import Standstill
from tenfold.supervise.state import (
    ClusterState,
    Hung,
    TaskState,
)
from tenfold.supervise.statuses import Statuses
from tenfold.supervise.stop import Signal
from tenfold.supervise.waits import WaitWords

MakeCell = Callable[[Handlers], Cell]

_TICK_S = 0.25
_PROBE_S = 0.1
_PROBE_NEWS_S = 1.0
_WRITE_S = 0.02
_RESERVE_BYTES, _TASK_RESERVE_BYTES = 1 << 16, 1 << 13


class Supervisor:
    """Runs one plan in one run directory, from first start to last exit."""

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
        """Disk space for the last status and events, in case the disk is full then."""
        self._wake = asyncio.Event()
        self._starts: dict[str, asyncio.Task[None]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._hosts: dict[str, str] = {}
        self._broken: BaseException | None = None
        self._notifier = Notifier(plan, run, self._state, self._events)
        self._journal = Journal(run, self._state, self._events, self._clock)
        self._figures = FigureWatch(run)
        self._standstill = Standstill(run, self._state, self._hosts, self._on_hang)
        self._statuses = Statuses(
            run,
            self._state,
            self._cell,
            self._clock,
            self._hosts,
            self._resumed,
            self._figures,
        )

    async def run(self) -> str:
        """Start the cluster and supervise it until it ends. Returns the final state.

        Nothing of the run is left when this returns, whatever it raises.
        """
        damaged = set_aside_damaged(self._run)
        self._write_status()
        self._events.write("cluster-starting", run=self._run.run)
        aside = [SetAside(str(path), to.name) for path, to in damaged]
        for one in (*aside, *past.set_aside(self._run)):
            self._events.write("set-aside", file=one.file, **{"as": one.name})
        if self._resumed is not None:
            self._events.write("resumed", **asdict(self._resumed))
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
            self._fail(f"internal error in tenfold: {error}", f"see {self._run.supervisor_log}")
        self._conclude()
        await self._notifier.drain()
        self._events.close()
        return self._state.phase

    async def _open(self) -> Protection | None:
        """Open the cell. None if the run was asked to end before that was done."""
        self._state.observe_opening()
        opening = asyncio.create_task(self._cell.open(self._cell_lost))
        while not opening.done():
            self._wake.clear()
            waiting = asyncio.create_task(self._wake.wait())
            await asyncio.wait({opening, waiting}, timeout=_TICK_S,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            waiting.cancel()
            self._write_status()
            if not opening.done() and step(self._state, self._clock()).over:
                opening.cancel()
                with contextlib.suppress(asyncio.CancelledError, TenfoldError):
                    await opening
                return None
        self._state.observe_open()
        return opening.result()

    def _fail(self, message: str, hint: str | None) -> None:
        self._state.observe_broken(message)
        self._events.write("error", message=message, hint=hint)

    async def _loop(self) -> None:
        while self._broken is None:
            self._wake.clear()
            actions = step(self._state, self._clock())
            self._carry_out(actions)
            self._write_status()
            if actions.over:
                return
            await self._pause()
        raise self._broken

    def _carry_out(self, actions: Actions) -> None:
        self._journal.write(actions)
        self._tell(actions)
        self._note_figures()
        for state in (*actions.unready, *(one.task for one in actions.unkillable)):
            self._end_probe(state.task.name)
        for signal in actions.signals:
            self._send(signal)
        for state in actions.start:
            self._begin(state)
        for state in actions.call_off:
            if begun := self._starts.get(state.task.name):
                begun.cancel()

    def _tell(self, actions: Actions) -> None:
        for notice in actions.notices:
            self._notifier.send(notice)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), _TICK_S)
        except TimeoutError:
            return

    def _note_figures(self) -> None:
        """Report figures that are not finite, once each."""
        if self._figures.due(self._clock()):
            live = (name for name, state in self._state.tasks.items() if state.live)
            self._tell_odd(self._figures.look(live))

    def _tell_odd(self, news: list[OddFigure]) -> None:
        for odd in news:
            rest = odd.to_json()
            self._events.write("not-finite", rest.pop("task"), **rest)

    def _send(self, signal: Signal) -> None:
        state = self._state.tasks[signal.task]
        name = signal_name(signal.number)
        self._events.write("task-signalled", signal.task, signal=name)
        self._cell.signal(state.task, signal.number)
        self._state.observe_told(signal.task, self._clock(), kill=name == "SIGKILL")

    def _begin(self, state: TaskState) -> None:
        """Start a task in the background.

        The process that it is forked from may take seconds to be ready.
        """
        name = state.task.name
        self._state.observe_beginning(name)
        self._starts[name] = asyncio.create_task(self._start(state))
        self._starts[name].add_done_callback(lambda done: self._begun(name, done))

    def _begun(self, name: str, done: asyncio.Task[None]) -> None:
        if self._starts.get(name) is done:
            del self._starts[name]
        if not done.cancelled() and (error := done.exception()):
            self._broken = error
        self._wake.set()

    async def _start(self, state: TaskState) -> None:
        name = state.task.name
        try:
            placed = await self._cell.start(state.task)
        except TenfoldError as error:
            self._state.observe_refused(name, error.message, self._clock())
            self._events.write("task-refused", name, reason=error.message)
            return
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
            self._probes[name] = asyncio.create_task(self._probe(state))

    async def _probe(self, state: TaskState) -> None:
        """Ask the cell until the task is ready. `reconcile` decides when to give up."""
        name, started = state.task.name, state.started
        said = WaitWords(self._run.task(state.task.label))
        while not await self._try(state.task, said):
            await asyncio.sleep(_PROBE_S)
        if state.started == started:
            self._ready(name)

    async def _try(self, task: Task, said: WaitWords) -> bool:
        """Check once whether a task is ready, and report why it is not.

        The report is made meanwhile and afterwards.
        """
        attempt = asyncio.ensure_future(self._cell.is_ready(task))
        try:
            while True:
                await asyncio.wait({attempt}, timeout=_PROBE_NEWS_S)
                if attempt.done() and attempt.result():
                    return True
                if words := said.news():
                    self._events.write("task-waits", task.name, words=words)
                self._state.observe_waits(task.name, said.words)
                if attempt.done():
                    return False
        finally:
            attempt.cancel()

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

    def _on_hang(self, hung: Hung | None) -> None:
        self._state.observe_hang(hung, self._clock())
        self._wake.set()

    def _on_disk(self, place: Path, lost: int | None) -> None:
        if lost is None:
            self._events.write("disk-full", path=str(place))
        else:
            self._events.write("disk-back", path=str(place), lost_bytes=lost)

    def _on_stop(self, outcome: Outcome, reason: str) -> None:
        self._state.observe_cell_ending(outcome, reason, self._clock())
        self._wake.set()

    async def told_to_end(self, why: Callable[[], tuple[Outcome, str] | None], words: str) -> None:
        """Stop the run because the cell ends the supervisor.

        The reason is what `why` returns, and otherwise `words`.
        """
        told = None
        with contextlib.suppress(TenfoldError):
            told = await asyncio.to_thread(why)
        self._state.observe_terminated(told, words, self._clock())
        self._wake.set()

    def _cell_lost(self, reason: str) -> None:
        self._state.observe_cell_lost(reason, self._clock())
        self._wake.set()

    def stop(self, reason: str) -> None:
        """Stop the run gracefully. The second call kills it."""
        self._state.ask_stop(reason, self._clock())
        self._wake.set()

    def kill(self, reason: str) -> None:
        """Kill the run."""
        self._state.ask_kill(reason, self._clock())
        self._wake.set()

    def restart(self, names: list[str]) -> list[str]:
        """Restart these tasks. Returns those that could not be asked."""
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
        """Restore what tasks have removed from the run directory, and report it."""
        back = self._presence.look(at_once=at_once) if self._presence else []
        if back:
            self._events.keep()
            self._statuses.look_again()
            message = f"removed during the run: {' and '.join(back)}; put back"
            self._events.write("note", message=message, hint="check which task removes it")

    def _conclude(self) -> None:
        """Take the last step, and record how the run ended."""
        self._state.observe_closed()
        last = step(self._state, self._clock())
        self._journal.notes(last)
        self._reserve.give_back()
        self._put_back(at_once=True)
        self._events.keep()
        self._statuses.look_again()
        self._write_status(math.inf)
        self._events.write(f"cluster-{self._state.phase}", reason=self._state.reason)
        self._tell(last)
