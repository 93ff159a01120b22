"""Compare a plan with what is here.

It covers packages, ports, programs, cores, memory, GPUs, open files and images.

Owns: adding up what the tasks ask for, and the words when it is more than there is. What a task
asks for is the file's word; what a framework costs beyond that was measured. A cluster that is
too big for a machine may still run, slowly, so that is a warning; what cannot start is broken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from tenfold.base.quantities import memory_text
from tenfold.cells.local.requirements import files_needed, require_packages, require_ports
from tenfold.cells.probing.findings import Finding, Room, State
from tenfold.cluster.cell_table import traits
from tenfold.cluster.programs import python_command
from tenfold.doctor.machine import Machine
from tenfold.errors import InputError, UnavailableError
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan, Task
from tenfold.services import REQUIREMENTS


def local_room(facts: Machine, gpus: int) -> Room:
    """The room on this machine now."""
    if facts.available is None:
        return Room("this machine", facts.cores, facts.memory, gpus=gpus)
    return Room("this machine", facts.cores, facts.available, free=True, gpus=gpus)


def fits(plan: Plan, room: Room) -> list[Finding]:
    """Compare the tasks' requests with the room.

    Only numbers that are known are compared.
    """
    found = [_cores(plan, room), _memory(plan, room), _gpus(plan, room)]
    return [finding for finding in found if finding is not None]


def starts(plan: Plan, facts: Machine) -> list[Finding]:
    """What would keep the plan from starting on this machine; empty if nothing does."""
    return [*_refused("packages", require_packages, plan), *_refused("ports", require_ports, plan),
            *_files(plan, facts)]  # fmt: skip


def _said(name: str, state: State, message: str, hint: str | None = None) -> Finding:
    return Finding("file", name, state, None, message, hint)


def _refused(name: str, require: Callable[[Plan], None], plan: Plan) -> Iterator[Finding]:
    try:
        require(plan)
    except UnavailableError as error:
        yield _said(name, "missing", error.message, error.hint)
    except InputError as error:
        yield _said(name, "broken", error.message, error.hint)


def _cores(plan: Plan, room: Room) -> Finding | None:
    if room.cores is None:
        return None
    asked = sum(task.cpu for task in plan.tasks if task.cpu is not None)
    have, there = _plain(room.cores), len(plan.tasks)
    if asked > room.cores:
        message = (
            f"the tasks request {_plain(asked)} cores, {room.where} has {have}: they share them"
        )
        return _said("cores", "warning", message, _fewer(plan))
    if asked:
        return _said("cores", "ok", f"{_plain(asked)} of the {have} of {room.where}")
    return _said("cores", "ok", f"{there} task{'' if there == 1 else 's'}, {have} of {room.where}")


def _plain(count: float) -> str:
    return f"{count:.0f}" if count == int(count) else f"{count:.1f}"


def _fewer(plan: Plan) -> str | None:
    jobs = plan.jobs()
    job = max(jobs, key=lambda name: len(jobs[name]))
    count = len(jobs[job])
    return f"use fewer tasks: --set jobs.{job}.tasks={max(1, count // 2)}" if count > 1 else None


def _memory(plan: Plan, room: Room) -> Finding | None:
    if room.memory is None:
        return None
    need, words = needed_memory(plan)
    if not need:
        return None
    message = f"{words}; {room.where} has {memory_text(room.memory)}{' free' if room.free else ''}"
    if need > room.memory:
        return _said("memory", "warning", message, _fewer(plan))
    return _said("memory", "ok", message)


def needed_memory(plan: Plan) -> tuple[int, str]:
    """The minimum of bytes that the plan will use, and the same as text.

    A task takes what it asks for, and if it asks for nothing, what its framework costs; 0 where
    neither is known.
    """
    asked = sum(task.memory for task in plan.tasks if task.memory is not None)
    rest = [task for task in plan.tasks if task.memory is None]
    cost = _overhead(plan, rest)
    words = {
        f"the tasks request {memory_text(asked)}": asked,
        f"{plan.framework} needs about {memory_text(cost)} before the training starts": cost,
    }
    return asked + cost, " and ".join(text for text, count in words.items() if count)


def _overhead(plan: Plan, tasks: list[Task]) -> int:
    """What the framework takes for those of `tasks` that are Python's and no page."""
    cost = framework(plan.framework).memory
    python = [t for t in tasks if python_command(t.command) and not _is_page(t)]
    if cost is None or not python:
        return 0
    forked = sum(_is_forked(plan, task) for task in python)
    importing = len(python) - forked + (1 if forked else 0)
    return cost.first + (importing - 1) * cost.more + forked * cost.forked


def _is_page(task: Task) -> bool:
    return task.service and task.job in REQUIREMENTS


def _is_forked(plan: Plan, task: Task) -> bool:
    preload = framework(plan.framework).preload() if task.preload is None else task.preload
    return bool(preload) and traits(plan.cell).forks and sys.platform == "linux"


def _gpus(plan: Plan, room: Room) -> Finding | None:
    asked = sum(task.gpu for task in plan.tasks)
    if not asked or room.gpus is None:
        return None
    if asked > room.gpus:
        word = "GPU" if asked == 1 else "GPUs"
        message = f"the tasks request {asked} {word}, {room.where} has {room.gpus or 'none'}"
        return _said("gpus", "warning", f"{message}; they start anyway")
    return _said("gpus", "ok", f"{asked} of the {room.gpus} of {room.where}")


def _files(plan: Plan, facts: Machine) -> Iterator[Finding]:
    need = files_needed(plan)
    if need > facts.files:
        message = f"{len(plan.tasks)} tasks need {need:,} open files, {facts.files:,} are allowed"
        yield _said("open files", "broken", message, f"sudo prlimit --nofile={need * 2} --pid $$")
