"""`plan.json` of a run: the plan, with secrets hidden.

A supervisor or a cell reads the whole plan (`read_plan`). Views show what they can of a damaged one
(`PlanFile`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.base.older import Self
from tenfold.errors import UnavailableError
from tenfold.run.jsonfiles import JsonFile, JsonObject, Problems, read_json, write_json

if TYPE_CHECKING:
    from tenfold.planning.plan import Plan


def write_plan(path: Path, plan: Plan) -> None:
    """Write the plan. Raises OSError if the disk refuses it."""
    write_json(path, plan.to_json())


def read_plan(path: Path, problems: Problems | None = None) -> Plan:
    """Read the whole plan.

    Raises UnavailableError if it is missing or damaged, and InputError if it is incomplete or of
    another version.
    """
    from tenfold.planning.plan import Plan  # views do without it, and start sooner

    data = read_json(path, problems)
    if data is None:
        hint = "check that the run directory still exists"
        raise UnavailableError(f"{path} cannot be read", hint=hint)
    return Plan.from_json(data)


@dataclass(frozen=True, slots=True)
class PlannedReadiness(JsonObject):
    """The readiness check of a task, as far as it can be read."""

    kind: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedRestart(JsonObject):
    """When a task is restarted, as far as it can be read."""

    limit: int | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedTask(JsonObject):
    """A task of the plan, as far as it can be read. `after`: conditions by job."""

    task: str = ""
    job: str | None = None
    index: int | None = None
    workdir: str | None = None
    memory: int | None = None
    service: bool = False
    after: Mapping[str, str | None] = field(default_factory=dict)
    ready: PlannedReadiness = PlannedReadiness()
    restart: PlannedRestart = PlannedRestart()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The task in the plan's JSON."""
        ready = PlannedReadiness.from_json(data.get("ready") or {})
        restart = PlannedRestart.from_json(data.get("restart") or {})
        return super(PlannedTask, cls).from_json({**data, "ready": ready, "restart": restart})


@dataclass(frozen=True, slots=True)
class PlanFile(JsonFile):
    """What views need of the plan, as far as it can be read.

    `tasks` is None if there is no list of them.
    """

    cluster: str | None = None
    framework: str | None = None
    cell: str | None = None
    file: str | None = None
    directory: str | None = None
    runs: str | None = None
    options: tuple[str, ...] = ()
    stop_grace_s: float = 10.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    notify: Mapping[str, Any] | None = None
    tasks: tuple[PlannedTask, ...] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The readable part of the plan's JSON."""
        tasks = data.get("tasks")
        made = None if tasks is None else [PlannedTask.from_json(task) for task in tasks]
        return super(PlanFile, cls).from_json({**data, "tasks": made})

    @classmethod
    def of(cls, path: Path, problems: Problems | None = None) -> Self:
        """`read`, with an empty object for a file that is missing or damaged."""
        return cls.read(path, problems) or cls()

    def task(self, name: str) -> PlannedTask:
        """The task called `worker/3`. An empty one if the plan does not have it."""
        return next((task for task in self.tasks or () if task.task == name), PlannedTask(name))
