"""A cluster that is already running when it is started again."""

from __future__ import annotations

import time
from pathlib import Path

from tenfold import cells
from tenfold.base.quantities import duration_text
from tenfold.cells.settling import Settler
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory, every
from tenfold.views.commands import with_runs
from tenfold.views.status import status

_settler = Settler(0.0)


class AlreadyRunningError(TenfoldError):
    """The cluster is already running, and no second run was asked for.

    Attributes:
        runs: the runs that are up, oldest first.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str, runs: list[RunDirectory]) -> None:
        super().__init__(message, hint=hint)
        self.runs = runs


def refuse_running(runs: Path, plan: Plan, *, another: bool) -> None:
    """Raise AlreadyRunningError if a run of the cluster is up.

    With `another` that is allowed, and the error says why the cell cannot have a second run.
    """
    up = [run for run in every(runs, plan.cluster) if _is_up(run)]
    if not up:
        return
    if not another:
        raise AlreadyRunningError(_words(plan, up), _hint(plan, runs, up), up)
    client = cells.client(plan.cell)
    for run in up:
        other = PlanFile.of(run.plan)
        if other.cell == plan.cell and (why := client.excludes(plan, other)):
            raise AlreadyRunningError(f"{why}: {_name(run)} is running", _down_hint(up, runs), up)


def _is_up(run: RunDirectory) -> bool:
    _settler.settle(run)
    return run.alive()


def _words(plan: Plan, up: list[RunDirectory]) -> str:
    newest = up[-1]
    shown = status(newest)
    states = [task.state for task in shown.tasks]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    for_how_long = f" for {duration_text(time.time() - shown.started)}" if shown.started else ""
    file = PlanFile.of(newest.plan).file
    other = f", from another file, {file}" if file and plan.file and file != plan.file else ""
    more = f" ({len(up)} runs; this is the newest)" if len(up) > 1 else ""
    words = f"{plan.cluster} is already running{for_how_long}{more}: run {newest.run}{other}"
    return f"{words} ({counts})" if counts else words


def _hint(plan: Plan, runs: Path, up: list[RunDirectory]) -> str:
    job = plan.tasks[0].name
    return (
        f"restart a task: {with_runs(f'tenfold restart {job}', runs)}; "
        f"{_down_hint(up, runs)}; "
        "start a second run beside it: tenfold up --another"
    )


def _down_hint(up: list[RunDirectory], runs: Path) -> str:
    name = up[-1].cluster if len(up) == 1 else _name(up[-1])
    return f"stop it: {with_runs(f'tenfold down {name}', runs)}"


def _name(run: RunDirectory) -> str:
    return f"{run.cluster}/{run.run}"
