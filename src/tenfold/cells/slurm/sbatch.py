"""Plan → job.sbatch: one batch job with a component for each type of node.

The types are those that the tasks need.

Owns the text of the script, and which task goes into which component (`components`). The script
becomes tenfold's supervisor, on the job's first node; it starts every task as a step of its own.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tenfold.cells.rendering import File, RenderLocations
from tenfold.errors import InputError, shown
from tenfold.planning.plan import Plan, Task

NOT_SHARED = 66
"""The script's exit code if the node does not see the run directory.

It is EX_NOINPUT.
"""

WARNING_S = 60
"""Seconds before the time limit at which the supervisor is warned.

The grace of the tasks is added to it.
"""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one task needs of a node.

    Tasks with the same needs share a component of the job.
    """

    cpu: int
    memory: int | None
    gpu: int
    partition: str | None
    constraint: str | None
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a heterogeneous job, and the tasks that run in it."""

    needs: Needs
    tasks: tuple[Task, ...]


def components(plan: Plan) -> list[Component]:
    """The components of the plan's job, in the order of their first task."""
    found: dict[Needs, list[Task]] = {}
    for task in plan.tasks:
        found.setdefault(_needs(plan, task), []).append(task)
    return [Component(needs, tuple(tasks)) for needs, tasks in found.items()]


def _needs(plan: Plan, task: Task) -> Needs:
    settings = plan.settings
    own = settings.get("jobs", {}).get(task.job, {})
    return Needs(
        cpu=max(1, math.ceil(task.cpu or 1)),
        memory=task.memory,
        gpu=task.gpu,
        partition=own.get("partition", settings.get("partition")),
        constraint=own.get("constraint", settings.get("constraint")),
        options=tuple(own.get("options", ())),
    )


def sbatch(plan: Plan, places: RenderLocations) -> File:
    """`job.sbatch`, in `cell/` of the run directory when `up` submits it."""
    lines = list(_script(plan, places))
    if torn := [line for line in lines if "\n" in line]:
        raise InputError(f"a line of the batch script has a line break: {shown(torn[0])}")
    text = "\n".join(lines) + "\n"
    return File("cell/job.sbatch" if places.supervised else "job.sbatch", text)


def _script(plan: Plan, places: RenderLocations) -> Iterator[str]:
    jobs = ", ".join(f"{len(tasks)} {job}" for job, tasks in plan.jobs().items())
    yield "#!/bin/bash"
    yield f"# {plan.cluster}: {jobs}."
    if places.supervised:
        yield "# Made and submitted by `tenfold up --on slurm`."
    else:
        yield "# Made by `tenfold render --on slurm`."
        yield "#"
        yield "#   sbatch job.sbatch"
        yield "#   squeue --me"
        yield f"#   tail -f {_shown(places.run)}/tasks/*/stdout.log"
    yield "#"
    yield f"#SBATCH --job-name={plan.cluster}"
    yield from _whole(plan, places)
    for number, component in enumerate(components(plan)):
        if number:
            yield "#SBATCH hetjob"
        yield from _component(plan, component)
    yield ""
    yield f"RUN={shlex.quote(places.run)}"
    yield 'if ! test -r "$RUN/plan.json"; then'
    yield '  echo "tenfold: $(hostname) does not see $RUN: it has to be on a shared file system"'
    yield f"  exit {NOT_SHARED}"
    yield "fi"
    yield from plan.settings.get("setup", ())
    yield ""
    yield "# The supervisor, here on the first node, starts each task as a step: srun."
    yield f'exec {shlex.quote(places.python)} -P -m tenfold.supervise --batch "$RUN"'


def _whole(plan: Plan, places: RenderLocations) -> Iterator[str]:
    settings = plan.settings
    yield f"#SBATCH --output={_option(places.run)}/cell/slurm-%j.log"
    yield "#SBATCH --open-mode=append"
    for name in ("account", "qos", "time"):
        if name in settings:
            yield f"#SBATCH --{name}={settings[name]}"
    yield "#SBATCH --requeue" if settings.get("requeue", True) else "#SBATCH --no-requeue"
    yield f"#SBATCH --signal=B:TERM@{WARNING_S + math.ceil(plan.stop_grace_s)}"
    for option in settings.get("options", ()):
        yield f"#SBATCH {option}"


def _component(plan: Plan, component: Component) -> Iterator[str]:
    del plan
    needs = component.needs
    jobs: dict[str, int] = {}
    for task in component.tasks:
        jobs[task.job] = jobs.get(task.job, 0) + 1
    yield "# " + ", ".join(f"{count} {job}" for job, count in jobs.items())
    if needs.partition:
        yield f"#SBATCH --partition={needs.partition}"
    yield f"#SBATCH --ntasks={len(component.tasks)}"
    yield f"#SBATCH --cpus-per-task={needs.cpu}"
    if needs.memory:
        yield f"#SBATCH --mem-per-cpu={mebibytes(needs)}M"
    if needs.gpu:
        yield f"#SBATCH --gpus-per-task={needs.gpu}"
    if needs.constraint:
        yield f"#SBATCH --constraint={needs.constraint}"
    for option in needs.options:
        yield f"#SBATCH {option}"


def mebibytes(needs: Needs) -> int:
    """Memory in MiB for each of the task's processors.

    Slurm can count only this for the tasks of a job.
    """
    return math.ceil((needs.memory or 0) / needs.cpu / (1 << 20))


def _option(path: str) -> str:
    """A path inside an `#SBATCH` line.

    `%` begins a pattern there, and blanks have to be quoted.
    """
    escaped = path.replace("%", "%%")
    return shlex.quote(escaped) if shlex.quote(escaped) != escaped else escaped


def _shown(path: str) -> str:
    return path.replace("\n", " ")
