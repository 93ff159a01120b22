"""The client side of a cell: what commands, the Python API and the page call.

All of it works from the plan or from the run directory alone, before, during and after a run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from tenfold.cells.probing.findings import Finding, Room
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.supervisor_side import Wishes
from tenfold.errors import InputError, UnavailableError
from tenfold.planning.plan import Plan
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory


class ClientSide(Protocol):
    """The client side of a cell. `client.py` has one, called `CLIENT`.

    A cell inherits from this class and overrides what it needs.
    """

    # Before a run.

    def place(self, plan: Plan) -> Plan:
        """`plan` with the addresses, ports and paths that are known before the start.

        Pure. Raises InputError for a plan that this cell cannot run.
        """
        return plan

    def accepted(self, plan: Plan) -> Plan:
        """The placed `plan`, if `up` would accept it. Does not look at this machine.

        Raises InputError as `place` does, and where a rendered file would hold a secret.
        """
        from tenfold.cluster.cell_table import traits

        placed = self.place(plan)
        if traits(plan.cell).renders:
            secrets_of(placed)
        return placed

    def require(self, plan: Plan) -> None:
        """Raise UnavailableError with a hint if `plan` cannot run now."""
        del plan

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """The cell's own files for a placed `plan`.

        Raises UnavailableError if the cell has none.
        """
        del places
        raise UnavailableError(
            f"cell {plan.cell} has no files to render",
            hint="see what `up` would start with `tenfold plan`",
        )

    def submit(self, plan: Plan, run: RunDirectory, wishes: Wishes) -> bool:
        """Let the cell start the run's supervisor.

        False: the cell does not start supervisors, and the caller starts one on this machine.
        Raises TenfoldError if the cell refuses the run.
        """
        del plan, run, wishes
        return False

    def excludes(self, plan: Plan, running: PlanFile) -> str | None:
        """Why a run of `plan` cannot exist beside another run of the cluster, or None.

        `running` is the `plan.json` of the other run, which is up on this cell.
        """
        del plan, running
        return None

    # During a run and after it.

    def settle(self, run: RunDirectory) -> None:
        """Update the run directory of a run whose supervisor is elsewhere."""
        del run

    def ask(self, run: RunDirectory, request: dict[str, Any]) -> dict[str, Any] | None:
        """Send a request (`tenfold.supervise.control`) to a supervisor that is elsewhere.

        None: the supervisor does not answer any more.
        """
        del run, request
        return None

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """The command that runs `words` beside a task.

        None means that it is a process of this machine.

        The supervisor calls this as well, to get the stacks of a cluster that hangs.
        """
        del run, task, words
        return None

    def sweep(self, run: RunDirectory) -> list[str]:
        """Remove what a killed supervisor left of `run`, and return a description."""
        del run
        return []

    # For `tenfold doctor`.

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Whether this cell works from here, for `plan` or in general. Changes nothing."""
        del plan
        return []

    def fit(self, plan: Plan) -> list[Finding]:
        """What this cell lacks for `plan`, images for example.

        Called if `probe` found no fault.
        """
        del plan
        return []

    def room(self) -> Room | None:
        """The cell's capacity for one run, or None if it is not known."""
        return None


def secrets_of(plan: Plan) -> dict[str, str]:
    """Values of the plan's secret variables by name.

    For cells that pass them separately from the plan.

    Raises InputError if one name has two values in a cluster, or if a secret stands elsewhere
    than in a variable: other users of a machine can read commands.
    """
    found: dict[str, str] = {}
    said = json.dumps([plan.settings, {**(plan.build or {}), "args": None}], ensure_ascii=False)
    if plan.shown(said) != said:
        raise InputError(
            f"a secret is in cells.{plan.cell} or build",
            hint="pass it to tasks in a variable; build.args may contain one",
        )
    for task in plan.tasks:
        for name, value in task.env.items():
            secret = name in task.secrets or plan.shown(value) != value
            if secret and found.setdefault(name, value) != value:
                raise InputError(
                    f"{name} is secret and has two values in {plan.cluster}",
                    hint=f"on {plan.cell}, use a separate variable for each value",
                )
        ready = task.ready.target if task.ready else ""
        texts = (*task.command, *(task.preload or ()), task.workdir, ready, task.image or "")
        if any(plan.shown(text) != text for text in texts):
            raise InputError(
                f"{task.name}: a secret is in its command, preload, workdir, image or ready",
                hint=f"on {plan.cell}, read it from the environment in the command",
            )
    return found
