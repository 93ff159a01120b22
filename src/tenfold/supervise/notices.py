"""Policy: what to tell the people who are not watching.

The run ended or failed, it hangs, or tasks were restarted. Whom to tell, and how, is in `notifier`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tenfold.base.naming import ranges
from tenfold.run.states import State
from tenfold.supervise.deaths import ending
from tenfold.supervise.failure import first_failure
from tenfold.supervise.state import ClusterState, Hung, TaskState

About = Literal["ended", "failed", "hung", "restarted"]


@dataclass(frozen=True, slots=True)
class Notice:
    """News of a run. `words` follow the name of the cluster.

    Attributes:
        task: the task that it is about, if it is one.
        tasks: the tasks that are restarted.
        report: the path of the report of a hang.
    """

    about: About
    words: str
    task: str | None = None
    tasks: tuple[str, ...] = ()
    report: str | None = None


def of_hang(hung: Hung) -> Notice:
    """The tasks make no progress."""
    return Notice("hung", f"hangs: {hung.words}", hung.task, report=hung.report)


def of_restarts(culprits: Sequence[TaskState], others: Sequence[TaskState]) -> Notice:
    """Tasks failed and will be restarted, and others with them.

    It is one notice for all tasks of a step.
    """
    first = culprits[0]
    why = first.reason or ending(first.exit_code, first.signal)
    names = [state.task.name for state in culprits]
    together = [*names, *(state.task.name for state in others)]
    more = f" and {len(names) - 1} more tasks failed" if len(names) > 1 else ""
    words = f"{names[0]} {why}{more}; restarting {ranges(together)}"
    return Notice("restarted", words, names[0], tasks=tuple(together))


def of_end(cluster: ClusterState) -> Notice | None:
    """The run is over. None if another supervisor continues it."""
    if not cluster.phase.is_terminal:
        return None
    failed = cluster.phase == State.FAILED
    first = first_failure(cluster.deaths) if failed else None
    words = f"{cluster.phase}: {cluster.reason}" if cluster.reason else str(cluster.phase)
    return Notice("failed" if failed else "ended", words, first.task if first else None)
