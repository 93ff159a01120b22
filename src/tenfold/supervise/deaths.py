"""Describe how a task died.

The description is made from its exit code, its signal, or what its cell knows of the cause.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from tenfold.cells import Cause


def ending(exit_code: int | None, signal_number: int | None) -> str:
    """How a process ended: `exited with code 3`, `was killed by SIGKILL`, …"""
    if signal_number is not None:
        return f"was killed by {signal_name(signal_number)}"
    if exit_code is None:
        return "could not be started"
    return "ended" if exit_code == 0 else f"exited with code {exit_code}"


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class Death:
    """A task ended badly without being asked to end.

    It has an `exit_code` or a `signal`, and neither if the task never ran.

    `reason` says more than these, where somebody knows more; `cause` is that of `Ended`.
    """

    task: str
    time: float
    exit_code: int | None
    signal: int | None
    reason: str | None = None
    needed: bool = True
    cause: Cause | None = None

    @property
    def words(self) -> str:
        """How the task ended, for a sentence that begins with its name."""
        return self.reason or ending(self.exit_code, self.signal)
