"""What the supervisor does about a hang: tells of it, and restarts or ends what hangs.

Whether there is one, the watch finds out (`watch`); what is started again `hang` decides.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.eventlog import EventLog
from tenfold.rundir import RunDirectory
from tenfold.states import State
from tenfold.supervise.hang import in_vain, to_restart
from tenfold.supervise.signs import TaskFacts
from tenfold.supervise.state import ClusterState
from tenfold.supervise.watch import Hung, RunWatch, SupervisorFacts


@dataclass(slots=True)
class Standstill:
    """One run's, from `open` to `close`.

    Attributes:
        hosts: where each task was started; of those on this one the pid is of this machine.
        wake: have the supervisor look at its state again.
        told: the hang there is now, as status.json shows it, or None.
    """

    run: RunDirectory
    state: ClusterState
    events: EventLog
    clock: Callable[[], float]
    hosts: Mapping[str, str]
    wake: Callable[[], None]
    told: dict[str, Any] | None = None
    _watch: RunWatch | None = None

    def open(self) -> None:
        """Begin to watch, if the plan wants it. To be called in the supervisor's loop."""
        rule = self.state.plan.hang
        if rule is not None:
            loop = asyncio.get_running_loop()

            def tell(hung: Hung | None) -> None:
                loop.call_soon_threadsafe(self.observe, hung)

            self._watch = RunWatch(self.run, self.state.plan, rule, self._facts, tell)
            self._watch.start()

    def close(self) -> None:
        """Hear of nothing more."""
        if self._watch is not None:
            self._watch.close()

    def _facts(self) -> SupervisorFacts:
        up = self.state.phase == State.RUNNING and self.state.outcome is None
        here = socket.gethostname()
        tasks = [
            TaskFacts(
                name=name,
                phase=state.phase,
                pid=state.pid if self.hosts.get(name) == here else None,
                starts=state.restarts,
            )
            for name, state in self.state.tasks.items()
        ]
        return SupervisorFacts(up, tasks)

    def observe(self, hung: Hung | None) -> None:
        """Something hangs, or what hung goes on (None)."""
        rule = self.state.plan.hang
        if rule is None or self.state.stop_since is not None:
            return
        if hung is None:
            self.told = None
            self.events.write("progress-resumed")
            return
        action = rule.action
        found = {"task": hung.task, "words": hung.words, "report": hung.report, "action": action}
        self.told = {"time": round(self.clock(), 3), **found}
        self.events.write("hang", **found)
        if action == "restart":
            self._restart(hung)
        elif action == "stop":
            self.state.begin_stop(State.FAILED, f"hung: {hung.words}", self.clock())
        self.wake()

    def _restart(self, hung: Hung) -> None:
        """Counts against the budget of the first that is started again, as a failure would."""
        now = self.clock()
        again = to_restart(self.state, hung.task)
        if not again:
            return
        if in_vain(self.state, again, now):
            reason = f"hung, and was started again too often: {hung.words}"
            self.state.begin_stop(State.FAILED, reason, now)
            return
        again[0].retried.append(now)
        for state in again:
            state.start_again(now)
            self.events.write("restart-asked", state.task.name)
