"""Write the events of a step's actions to events.jsonl."""

from __future__ import annotations

from collections.abc import Callable

from tenfold.run import files
from tenfold.run.eventlog import EventLog
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.supervise.deaths import ending
from tenfold.supervise.reconcile import Actions, HangReport, Retry
from tenfold.supervise.state import ClusterState


class Journal:
    """Records the decisions of each step of one run.

    The loop itself records what was observed.
    """

    def __init__(
        self, run: RunDirectory, state: ClusterState, events: EventLog, clock: Callable[[], float]
    ) -> None:
        self._run = run
        self._state = state
        self._events = events
        self._clock = clock
        self._phase = state.phase

    def write(self, actions: Actions) -> None:
        """Write the events of one step. Signals and starts are written when they are done."""
        for report in actions.hangs:
            self._hang(report)
        for state in actions.unready:
            timeout_s = state.task.ready and state.task.ready.timeout_s
            name, words = state.task.name, state.waits
            self._events.write("task-unready", name, timeout_s=timeout_s, words=words)
        for retry in actions.retried:
            self._retry(retry)
        phase, self._phase = self._phase, self._state.phase
        if self._phase != phase and self._phase in {State.RUNNING, State.STOPPING}:
            self._events.write(f"cluster-{self._phase}", reason=self._state.reason)
        self.notes(actions)
        for one in actions.unkillable:
            self._events.write("task-unkillable", one.task.task.name, pid=one.pid)

    def notes(self, actions: Actions) -> None:
        """Write the messages for people."""
        for message, hint in actions.notes:
            self._events.write("note", message=message, hint=hint)

    def _hang(self, report: HangReport) -> None:
        hung, rule = report.news.hung, self._state.plan.hang
        if hung is None:
            self._events.write("progress-resumed")
            return
        found = {"task": hung.task, "words": hung.words, "report": hung.report}
        self._events.write("hang", **found, action=rule and rule.action)
        for state in report.restarted:
            self._events.write("restart-asked", state.task.name)

    def _retry(self, retry: Retry) -> None:
        state, rule = retry.task, retry.task.task.restart
        name = state.task.name
        self._events.write(
            "task-retried",
            name,
            in_s=round(max(0.0, state.start_at - self._clock()), 3),
            attempt=retry.attempt,
            limit=rule.limit,
            scope=rule.scope,
            anew=rule.scope != "task" and not self._has_checkpoint(),
            because=state.reason or ending(state.exit_code, state.signal),
        )
        for other in retry.others:
            self._events.write("restarted-with", other.task.name, because=name)

    def _has_checkpoint(self) -> bool:
        """Whether the run's `checkpoints/` contains anything.

        Scripts may save checkpoints elsewhere, which is not visible here.
        """
        return bool(files.names(self._run.shared("checkpoints")))
