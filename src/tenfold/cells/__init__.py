"""Places to run: one module a cell. Their table is `tenfold.cell_table.CELLS`.

    local.py       processes of this machine; ports.py, protection.py, relay.py belong to it
    docker.py      containers of this machine's engine; docker_engine.py talks to it, docker_ends.py
                   says why one ended
    slurm.py       steps of a batch job; slurm_steps.py starts and watches them, slurm_ends.py says
                   why one ended
    kubernetes.py  Jobs of a cluster
    settling.py    asks a cell now and then about runs whose supervisor is elsewhere

A cell places tasks and nothing else: it starts them, signals them, tells when they end and
whether they can be used. What to start when, and what an end means, is the supervisor's.

A module's `KIND` says what is known of its kind of cell apart from any run (`Kind`); its
`make` gives the `Cell` of one run.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from tenfold.cell_table import CELLS
from tenfold.errors import InputError, UnavailableError
from tenfold.plans import Plan, Task
from tenfold.render import File, RenderLocations
from tenfold.rundir import RunDirectory
from tenfold.states import State


@dataclass(frozen=True, slots=True)
class Protection:
    """Who else can reach the run's ports, and who ends its processes if the supervisor cannot.

    Attributes:
        kind: `namespace`, `loopback` (other users of the machine reach it), `network` (of the
            engine), `policy`, or `none` where the tasks' network is shared with others.
        words: the same for people, in a sentence.
    """

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a task was started: its pid on the host, where that is known, and the host's name."""

    pid: int | None
    host: str


Cause = Literal["oom", "removed", "node"]
"""What ended a task from outside: want of memory, somebody who removed its container, its host."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a task ended: `exit_code`, or `signal` if one killed it.

    `reason` says it in words, for a sentence that begins with the task's name, where the place
    knows more than that; `cause` says it for programs.
    """

    exit_code: int | None
    signal: int | None = None
    reason: str | None = None
    cause: Cause | None = None


ExitHandler = Callable[[str, Ended], None]
"""Task name and how it ended; called once for each start."""

NoteHandler = Callable[[str, str | None], None]
"""Something that people should know but that stops nothing: a message, and a hint or None."""


FullHandler = Callable[[Path, int | None], None]
"""A place whose disk takes nothing more (None), or does again, after so many bytes were lost."""

Outcome = Literal[State.FAILED, State.STOPPED, "again"]
"""How a run is left that its place ends from outside; `again`: the place will start it anew."""

StopHandler = Callable[[Outcome, str], None]
"""The place itself is ending the run: how that leaves it, and why."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Whom a cell tells what happens."""

    on_exit: ExitHandler
    on_note: NoteHandler
    on_stop: StopHandler
    on_disk: FullHandler = lambda *_: None
    on_left: ExitHandler = lambda *_: None
    """A task's own process has ended, and others of it have not; `on_exit` follows."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for of a run, beyond its plan.

    Attributes:
        isolation: one of `ISOLATION`.
        keep: leave the cluster up when its chief has ended well.
        secrets: values of secret variables by name (see `secrets_of`).
    """

    isolation: str = "auto"
    keep: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Cell(Protocol):
    """The promise of a cell, for one run. docs/cells/contract.md says it at length.

    After `open` returns, every task can be started; after `close` returns, no process of the run
    is left. A task is started again only after its exit was told. What a task writes is in the
    run directory before its exit is told.
    """

    async def open(self, on_lost: Callable[[str], None]) -> Protection:
        """Prepare to start tasks; `on_lost` is told if the cell itself breaks later."""

    async def start(self, task: Task) -> Placed:
        """Start `task`; when this returns, its command runs. Raises TenfoldError if it cannot."""

    def signal(self, task: Task, number: int) -> None:
        """Signal the task and what it started."""

    async def is_ready(self, task: Task) -> bool:
        """One try of the task's readiness; False: not yet.

        It ends soon, a command after the readiness's own timeout at the latest.
        """

    def address(self, task: Task) -> str | None:
        """`host:port` where the task's peers find it; None while nobody knows."""

    def urls(self, task: Task) -> dict[str, str]:
        """Where people find the ports the task publishes, from this machine, without a token."""

    async def close(self) -> None:
        """End everything and give back what `open` took."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a cell may take to tell of an end, in seconds.

    Attributes:
        kill_s: after SIGKILL, at the longest; a task of which nothing is heard then is given up.
        settle_s: apart from each other, deaths that follow from one another.
    """

    kill_s: float = 10.0
    settle_s: float = 2.0


class Kind:
    """What a kind of cell knows apart from any run. A cell of one's own overrides what it needs.

    Attributes:
        words: where it runs, for a sentence: `on this machine`.
        here: tasks see this machine's files and programs, so that `up` may check them beforehand.
        patience: how long its tasks' ends may stay untold.
        apart: the supervisor's own process does not start tasks: the cell has files of its own,
            and secrets are handed over apart from the plan.
    """

    words = ""
    here = False
    apart = True
    patience = Patience()

    def place(self, plan: Plan) -> Plan:
        """`plan` with what this kind of cell knows of addresses, ports and paths before the start.

        Pure. Raises InputError for a plan that this kind of cell cannot run.
        """
        return plan

    def accepted(self, plan: Plan) -> Plan:
        """`plan` as this kind of cell places it, if `up` would not refuse it.

        Says nothing of what this machine lacks. Raises InputError as `place` does, and where a
        secret would have to be written down.
        """
        placed = self.place(plan)
        if self.apart:
            secrets_of(placed)
        return placed

    def require(self, plan: Plan) -> None:
        """Raise UnavailableError, with the way out, where `plan` cannot run now."""

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """The cell's own files for `plan`. Raises UnavailableError where it has none."""
        del places
        raise UnavailableError(
            f"cell {plan.cell} has no files of its own",
            hint="tenfold plan shows what `up` would do",
        )

    def make(self, plan: Plan, run: RunDirectory, hear: Handlers, wishes: Wishes) -> Cell:
        """The cell of one run."""
        raise NotImplementedError

    def submit(self, plan: Plan, run: RunDirectory, wishes: Wishes) -> bool:
        """Have the run's supervisor started elsewhere; False: it is to be a process of ours."""
        del plan, run, wishes
        return False

    def settle(self, run: RunDirectory) -> None:
        """Write into the run directory what became of a run whose supervisor is elsewhere."""

    def why_told(self) -> tuple[Outcome, str] | None:
        """Why the supervisor's own place tells it to end, if the place is its cell."""
        return None

    def ask(self, run: RunDirectory, request: dict[str, Any]) -> dict[str, Any] | None:
        """Ask a supervisor that is elsewhere (see `tenfold.supervise.control`); None: no answer."""
        del run, request
        return None

    def sweep(self, run: RunDirectory) -> list[str]:
        """Remove what a supervisor that was killed left of `run`; in words, what that was."""
        del run
        return []

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """The command that runs `words` beside a task; None: it is a process of this machine."""
        del run, task, words
        return None


ISOLATION = ("auto", "namespace", "loopback", "none")
"""How a local run is kept from others: as well as the machine allows, by a namespace of its own or
not at all, by binds to loopback or not at all, open to the machine's network."""


def kind(name: str) -> Kind:
    """The kind of cell called `name`. Raises UnavailableError if there is none."""
    module = CELLS.get(name)
    if module is None:
        raise UnavailableError(
            f"there is no cell {name} in this version of tenfold",
            hint="available: " + ", ".join(CELLS),
        )
    made: Kind = importlib.import_module(module).KIND
    return made


def secrets_of(plan: Plan) -> dict[str, str]:
    """Values of the plan's secret variables, by name, for cells that hand them over apart.

    Raises InputError if one name has two values in a cluster, or if a secret stands elsewhere
    than in a variable: other users of a machine can read commands.
    """
    found: dict[str, str] = {}
    said = json.dumps([plan.settings, {**(plan.build or {}), "args": None}], ensure_ascii=False)
    if plan.shown(said) != said:
        raise InputError(
            f"a secret stands in cells.{plan.cell} or build",
            hint="let tasks read it from a variable; build.args may hold one",
        )
    for task in plan.tasks:
        for name, value in task.env.items():
            secret = name in task.secrets or plan.shown(value) != value
            if secret and found.setdefault(name, value) != value:
                raise InputError(
                    f"{name} is secret and has two values in {plan.cluster}",
                    hint=f"on {plan.cell}, give each value a variable of its own name",
                )
        ready = task.ready.target if task.ready else ""
        texts = (*task.command, *(task.preload or ()), task.workdir, ready, task.image or "")
        if any(plan.shown(text) != text for text in texts):
            raise InputError(
                f"{task.name}: a secret stands in its command, preload, workdir, image or ready",
                hint=f"on {plan.cell}, let the command read it from its environment",
            )
    return found
