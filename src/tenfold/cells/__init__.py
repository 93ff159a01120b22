"""Places to run: one module a cell, and their table.

A cell places tasks and nothing else: it starts them, signals them, tells when they end and
whether they can be used. What to start when, and what an end means, is the supervisor's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tenfold.errors import UnavailableError
from tenfold.plans import Plan, Ready, Task
from tenfold.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class Protection:
    """Who else can reach the run's ports, and who ends its processes if the supervisor cannot.

    Attributes:
        kind: `namespace`, or `none` where the machine's network is shared.
        words: the same for people, in a sentence.
    """

    kind: str
    words: str


ExitHandler = Callable[[str, int | None, int | None], None]
"""Task name, exit code or None, signal or None; called once for each start."""

DataHandler = Callable[[str, str, bytes], None]
"""Task name, `stdout` or `stderr`, and bytes that the task just wrote there."""


NoteHandler = Callable[[str, str | None], None]
"""Something that people should know but that stops nothing: a message, and a hint or None."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Whom a cell tells what happens."""

    on_exit: ExitHandler
    on_data: DataHandler
    on_note: NoteHandler


class Cell(Protocol):
    """The promise of a cell, for one run.

    After `open` returns, every task can be started; after `close` returns, no process of the run
    is left. A task is started again only after its exit was told.
    """

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Prepare to start tasks; `on_lost` is told if the cell itself breaks later."""

    async def start(self, task: Task) -> int:
        """Start `task`; gives its pid on the host. Raises TenfoldError if it cannot."""

    def signal(self, task: Task, number: int) -> None:
        """Signal the task and what it started."""

    def ready(self, task: Task) -> Ready | None:
        """`task.ready` with every `${…}` filled in. Raises TenfoldError if it cannot be."""

    async def is_ready(self, task: Task, ready: Ready) -> bool:
        """One try of `ready`, as `ready` gave it; False: not yet.

        It ends soon, a command after the readiness's own timeout at the latest. `log` is not a
        cell's to tell.
        """

    def address(self, task: Task) -> str:
        """`host:port` where the task's peers find it."""

    def urls(self, task: Task) -> dict[str, str]:
        """Where people find the ports the task publishes, from this machine, without a token."""

    async def close(self) -> None:
        """End everything and give back what `open` took."""


_CELLS = {"local": "tenfold.cells.local:LocalCell"}

NAMES = tuple(_CELLS)

ISOLATION = ("auto", "namespace", "none")
"""Whether a run gets a namespace of its own: where the machine allows it, surely, or never."""


def require(name: str) -> None:
    """Raise UnavailableError, naming those there are, if there is no cell of this name."""
    if name not in _CELLS:
        raise UnavailableError(
            f"cell {name} is not available in this version of tenfold",
            hint="available: " + ", ".join(NAMES),
        )


def cell(plan: Plan, run: RunDirectory, hear: Handlers, isolation: str) -> Cell:
    """The cell that `plan` names, for one run; raises UnavailableError if it is not here."""
    require(plan.cell)
    module, _, name = _CELLS[plan.cell].partition(":")
    made: Cell = getattr(importlib.import_module(module), name)(plan, run, hear, isolation)
    return made
