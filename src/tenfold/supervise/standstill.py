"""Connect the hang watch to the supervisor.

The watch's thread gets facts and returns findings.

`watch` finds out whether the tasks hang. What is done about it, `reconcile` decides.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.supervise.signs import TaskFacts
from tenfold.supervise.state import ClusterState, Hung
from tenfold.supervise.watch import RunWatch, SupervisorFacts


@dataclass(slots=True)
class Standstill:
    """The watch of one run, from `open` to `close`.

    Attributes:
        hosts: the host of each task that was started. The pids of tasks on this host are known.
        tell: takes each finding, in the supervisor's loop; None: the tasks make progress again.
    """

    run: RunDirectory
    state: ClusterState
    hosts: Mapping[str, str]
    tell: Callable[[Hung | None], None]
    _watch: RunWatch | None = None

    def open(self) -> None:
        """Start the watch if the plan has a hang policy.

        Call this in the supervisor's loop.
        """
        rule = self.state.plan.hang
        if rule is not None:
            loop = asyncio.get_running_loop()

            def tell(hung: Hung | None) -> None:
                loop.call_soon_threadsafe(self.tell, hung)

            self._watch = RunWatch(self.run, self.state.plan, rule, self._facts, tell)
            self._watch.start()

    def close(self) -> None:
        """Stop the watch. It reports nothing more."""
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
