"""The supervisor side of a cell: start, signal and watch the tasks of one run.

A cell places tasks and nothing else. What to start when, and what an end means, is decided in
`tenfold.supervise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from tenfold.planning.plan import Plan, Task
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State


@dataclass(frozen=True, slots=True)
class Protection:
    """Who else can reach the run's ports, and who ends its processes.

    The latter matters when the supervisor cannot end them.

    Attributes:
        kind: `namespace`, `loopback` (other users of the machine reach it), `network` (of the
            engine), `policy`, or `none` where the tasks' network is shared with others.
        words: the same for people, in a sentence.
    """

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a task was started: its host's name, and its pid there if known."""

    pid: int | None
    host: str


Cause = Literal["oom", "removed", "node"]
"""What ended a task from outside.

Lack of memory, the removal of its container, or its host.
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended: `exit_code`, or `signal` if one killed it.

    `reason` completes a sentence that begins with the task's name, where the cell knows more than
    that. `cause` says the same for programs.
    """

    exit_code: int | None
    signal: int | None = None
    reason: str | None = None
    cause: Cause | None = None


ExitHandler = Callable[[str, Ended], None]
"""Called with the task's name and its end, once for each start."""

NoteHandler = Callable[[str, str | None], None]
"""Called with a note for users that stops nothing: a message, a hint or None."""


FullHandler = Callable[[Path, int | None], None]
"""Called with a directory whose disk is full (None), or can be written again.

The number is how many bytes were lost.
"""

Outcome = Literal[State.FAILED, State.STOPPED, "again"]
"""The outcome of a run that its cell ends from outside.

`again` means that the cell will restart the run.
"""

StopHandler = Callable[[Outcome, str], None]
"""Called when the cell itself ends the run, with the outcome and the reason."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """The callbacks of a cell."""

    on_exit: ExitHandler
    on_note: NoteHandler
    on_stop: StopHandler
    on_disk: FullHandler = lambda *_: None
    on_left: ExitHandler = lambda *_: None
    """Called when a task's own process has ended and others still run.

    `on_exit` follows.
    """


@dataclass(frozen=True, slots=True)
class Wishes:
    """The requests for a run beyond its plan.

    Attributes:
        isolation: one of `ISOLATION`.
        keep: leave the cluster up when its chief has ended well.
        secrets: values of secret variables by name (see `secrets_of`).
    """

    isolation: str = "auto"
    keep: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


ISOLATION = ("auto", "namespace", "loopback", "none")
"""How a local run is kept from others.

`auto`: as well as the machine allows. `namespace`: by a namespace of its own or not at all.
`loopback`: by binds to loopback or not at all. `none`: open to the machine's network.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cell may take to report an end, in seconds.

    Attributes:
        kill_s: after SIGKILL, at the longest. A task that is not heard of by then is given up.
        settle_s: between deaths that follow from one another.
    """

    kill_s: float = 10.0
    settle_s: float = 2.0


class Cell(Protocol):
    """One run on a cell. docs/cells/contract.md explains each promise.

    After `open` returns, every task can be started. After `close` returns, no process of the run
    is left. A task is started again only after its exit was reported. What a task writes is in the
    run directory before its exit is reported.
    """

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Prepare to start tasks. The cell calls `on_lost` if it breaks later."""

    async def start(self, task: Task) -> Placed:
        """Start `task`. When this returns, its command runs.

        Raises TenfoldError if it cannot start.
        """

    def signal(self, task: Task, number: int) -> None:
        """Send a signal to the task and the processes that it started."""

    async def is_ready(self, task: Task) -> bool:
        """Check the task's readiness once. False means not yet.

        It ends soon, a command after the readiness's own timeout at the latest.
        """

    def address(self, task: Task) -> str | None:
        """`host:port` where the task's peers find it, or None if not known yet."""

    def urls(self, task: Task) -> dict[str, str]:
        """URLs of the ports that the task publishes, without a token.

        They work for users of this machine.
        """

    async def close(self) -> None:
        """End everything and release what `open` took."""


class SupervisorSide(Protocol):
    """The supervisor side of a cell. `supervisor.py` has one, called `SUPERVISOR`."""

    patience: Patience = Patience()
    """How long this cell may take to report an end."""

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> Cell:
        """The cell of one run. Starts nothing: that is for `Cell.open` and `Cell.start`."""

    def why_told(self) -> tuple[Outcome, str] | None:
        """Why the cell asks the supervisor to end, if the supervisor runs on the cell.

        Called when the supervisor gets SIGTERM. None: a person sent the signal.
        """
        return None
