"""Plans and histories for the policies' tests: no process, no clock, no file."""

from __future__ import annotations

from typing import Any

from tenfold.cells import Ended
from tenfold.planning.plan import Plan, RestartPolicy, Task
from tenfold.supervise.reconcile import Actions, step
from tenfold.supervise.state import ClusterState

RETRY = RestartPolicy("on-failure", limit=2, backoff_s=1.0)


def plan(*tasks: Task, success: tuple[str, ...] = ("chief",), grace_s: float = 10.0) -> Plan:
    """A plan of these tasks."""
    return Plan(
        cluster="c",
        framework="none",
        cell="local",
        directory="/",
        tasks=tasks,
        success=success,
        stop_grace_s=grace_s,
    )


def task(name: str, **more: Any) -> Task:
    """A task called `worker/3`."""
    job, _, index = name.partition("/")
    return Task(job=job, index=int(index or 0), command=("true",), **more)


class History:
    """Replays a run: what happened, and what the policies then wanted."""

    def __init__(self, *tasks: Task, keep: bool = False, **more: Any) -> None:
        self.state = ClusterState.of(plan(*tasks, **more), keep)
        self.now = 0.0

    def step(self, at: float | None = None) -> Actions:
        """One step at a time; tasks it starts run at once and, without `ready`, are in use."""
        self.now = self.now if at is None else at
        actions = step(self.state, self.now)
        for signal in actions.signals:
            self.state.observe_told(signal.task, self.now, kill=signal.number == 9)
        for state in actions.start:
            name = state.task.name
            self.state.observe_started(name, 1000, self.now)
            if state.task.ready is None:
                self.state.observe_ready(name, self.now)
        return actions

    def ends(self, name: str, code: int | None = 0, signal: int | None = None) -> None:
        """A task's process ends."""
        self.state.observe_exit(name, Ended(code, signal), self.now)

    def phases(self) -> dict[str, str]:
        """The phase of every task."""
        return {name: state.phase for name, state in self.state.tasks.items()}


def started(actions: Actions) -> list[str]:
    """Names of the tasks that a step started."""
    return [state.task.name for state in actions.start]


def signalled(actions: Actions) -> list[tuple[str, int]]:
    """Whom a step signalled, and how."""
    return [(signal.task, signal.number) for signal in actions.signals]
