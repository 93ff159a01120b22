"""Names, labels, addresses and ports of a cluster's objects in Kubernetes.

Kubernetes allows a label of 63 characters for a host name, and appends to names itself: whatever
would not fit is cut, and told apart by a hash. Pure; the same for the same plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tenfold.cells.workdirs import RUN_DIRECTORY
from tenfold.errors import InputError
from tenfold.planning.plan import Plan, Task

PORT = 8080
"""The port of every task, as in the 2016 talk.

Each pod has an address of its own.
"""

USER = 1000
PAGES = {"tensorboard": 6006, "jupyter": 8888}

RUN_LABEL = "tenfold/run"
TASK_LABEL = "tenfold/task"
LIFE_LABEL = "tenfold/life"
_NAME = "app.kubernetes.io/name"
_COMPONENT = "app.kubernetes.io/component"

_LONGEST_JOB = 50
"""The maximum length of a Job's name.

Kubernetes appends an index and five letters for the names of the pods, and tenfold appends a life.
"""

_LONGEST_IN_SET = 24
"""The same for the two parts of the name of a JobSet's Job."""


def short(name: str, most: int) -> str:
    """`name` if it has at most `most` characters, else its beginning and a hash of it."""
    if len(name) <= most:
        return name
    return f"{name[: most - 7]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def labels(plan: Plan, job: str | None = None, run: str | None = None) -> dict[str, str]:
    """Labels that all objects of a cluster carry.

    Objects of one job, or of one run, have labels for these too.
    """
    made = {_NAME: plan.cluster, "app.kubernetes.io/managed-by": "tenfold"}
    if job is not None:
        made[_COMPONENT] = job
    if run is not None:
        made[RUN_LABEL] = run
    return made


def service_name(plan: Plan) -> str:
    """The headless Service: the domain in which tasks have their names."""
    return plan.cluster


def task_job_name(plan: Plan, task: Task, life: int) -> str:
    """The name of the Job of one life of a task.

    It is the Job that tenfold's supervisor creates.
    """
    again = f"-life-{life}" if life > 1 else ""
    return short(f"{plan.cluster}-{task.label}", _LONGEST_JOB) + again


@dataclass(frozen=True, slots=True)
class Piece:
    """Tasks of one job, by index, that one Indexed Job can hold.

    They do not differ in anything that the Indexed Job describes.
    """

    tasks: tuple[Task, ...]
    whole: bool

    @property
    def job(self) -> str:
        """The name of the cluster's job."""
        return self.tasks[0].job

    @property
    def name(self) -> str:
        """`worker`, or `worker-from-4` if the job is in pieces."""
        return self.job if self.whole else f"{self.job}-from-{self.tasks[0].index}"

    @property
    def label(self) -> str:
        """A label for messages: `worker`, `worker/4`, `worker/4 to worker/7`."""
        first, last = self.tasks[0], self.tasks[-1]
        if self.whole:
            return self.job
        return first.name if first == last else f"{first.name} to {last.name}"


def pieces(plan: Plan) -> list[Piece]:
    """The Indexed Jobs of a plan, in display order.

    There is one per job, and more if overrides require it.
    """
    found: list[Piece] = []
    for tasks in plan.jobs().values():
        runs: list[list[Task]] = []
        for task in tasks:
            if not runs or _shape(runs[-1][-1]) != _shape(task):
                runs.append([])
            runs[-1].append(task)
        found += [Piece(tuple(run), whole=len(runs) == 1) for run in runs]
    return found


def _shape(task: Task) -> tuple[Any, ...]:
    return (task.image, task.cpu, task.memory, task.gpu, task.restart)


def indexed_name(plan: Plan, piece: Piece) -> str:
    """The Indexed Job of a piece."""
    return short(f"{plan.cluster}-{piece.name}", _LONGEST_JOB)


def set_name(plan: Plan) -> str:
    """The JobSet of a cluster; also the domain in which its tasks have their names."""
    return short(plan.cluster, _LONGEST_IN_SET)


def replicated_name(piece: Piece) -> str:
    """A piece's name in the JobSet."""
    return short(piece.name, _LONGEST_IN_SET)


def placed(plan: Plan) -> Plan:
    """`plan` as tenfold's supervisor starts it: a task's host name is its label."""
    return _placed(plan, lambda task: f"{task.label}.{service_name(plan)}")


def placed_in_jobs(plan: Plan) -> Plan:
    """`plan` with the host names that Indexed Jobs give to their pods.

    A host name is the Job's name and the task's index in the Job.
    """
    return _placed(plan, _by_piece(plan, lambda piece: indexed_name(plan, piece), service_name))


def placed_in_set(plan: Plan) -> Plan:
    """`plan` as a JobSet starts it."""
    name = set_name(plan)
    return _placed(
        plan, _by_piece(plan, lambda piece: f"{name}-{replicated_name(piece)}-0", set_name)
    )


def _by_piece(
    plan: Plan, stem: Callable[[Piece], str], domain: Callable[[Plan], str]
) -> Callable[[Task], str]:
    hosts = {
        task.name: f"{stem(piece)}-{n}.{domain(plan)}"
        for piece in pieces(plan)
        for n, task in enumerate(piece.tasks)
    }
    return lambda task: hosts[task.name]


def _placed(plan: Plan, host: Callable[[Task], str]) -> Plan:
    port = plan.settings.get("port", PORT)
    tasks = tuple(
        replace(task, address=f"{host(task)}:{port}", ports=_numbered(task, port))
        for task in plan.tasks
    )
    return replace(plan, tasks=tasks)


def _numbered(task: Task, main: int) -> dict[str, int | None]:
    """The task's ports with a number for each. A pod has all ports to itself."""
    taken = {main}
    for name, number in task.ports.items():
        if number is not None and number in taken:
            raise InputError(
                f"{task.name}: port {number} ({name}) is already used by the task",
                hint="use another number, or `auto`; "
                "change the main port with cells.kubernetes.port",
            )
        taken |= {number} if number is not None else set()
    free = (number for number in range(main + 1, 65_536) if number not in taken)
    ports: dict[str, int | None] = {}
    for name, number in task.ports.items():
        page = PAGES.get(task.job) if task.publish and task.service else None
        page = None if page in taken else page
        ports[name] = number or page or next(free)
    return ports


def run_directory(plan: Plan, run: str | None) -> str:
    """The run directory in the pods, on a volume that outlives them.

    Each run has one of its own.
    """
    if plan.settings.get("storage") is None:
        return RUN_DIRECTORY
    return f"{RUN_DIRECTORY}/{plan.cluster}" + (f"/{run}" if run else "")
