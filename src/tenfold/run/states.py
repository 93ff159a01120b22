"""The states of runs and tasks.

This is the one table for the supervisor, the cells, the views and the page.
"""

from __future__ import annotations

from tenfold.base.older import StrEnum


class State(StrEnum):
    """The state of a task or a run.

    A run is never `waiting`, `restarting` or `lost`.

    Files and JSON hold the values. A value that was read compares equal to its member.
    """

    WAITING = "waiting"
    """The task waits for the tasks that have to start first."""
    STARTING = "starting"
    """The process runs but is not ready."""
    RUNNING = "running"
    """The task is ready."""
    RESTARTING = "restarting"
    """The task ended and will be restarted."""
    STOPPING = "stopping"
    """It was asked to end."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    """The supervisor is gone, and it is unknown how the task ended."""
    STOPPED = "stopped"
    """It ended because it was asked to."""

    @property
    def is_terminal(self) -> bool:
        """Whether this is a final state."""
        return self in TERMINAL

    @property
    def is_live(self) -> bool:
        """Whether a process exists."""
        return self in LIVE

    @property
    def is_bad(self) -> bool:
        """Whether this is an unwanted final state."""
        return self in BAD


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.LOST, State.STOPPED})
LIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
BAD = frozenset({State.FAILED, State.LOST})
UNSTARTED = frozenset({State.WAITING, State.RESTARTING})
"""The supervisor starts these tasks as soon as their turn comes."""

OF_TASKS = tuple(State)
OF_RUNS = tuple(s for s in State if s not in {State.WAITING, State.RESTARTING, State.LOST})
