"""Values of `${…}` that depend on the plan or on a placed task.

Owns: what each late name stands for, and `bind`, which fills a task's texts in. Leaves to others:
the grammar (`template`), which names exist (`cluster.file.interpolate`), and addresses (the cell).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tenfold.base.naming import label_of
from tenfold.cluster.command_line import filled
from tenfold.cluster.template import INDEX, fill
from tenfold.errors import InputError
from tenfold.planning.plan import Bound, ReadinessCheck, Task

Known = Callable[[str], str | None]


def known_values(task: Task, index: int, sizes: Mapping[str, int]) -> Known:
    """The late names that a plan can fill for task `index` of `task`'s job.

    The value of any other name is None.
    """
    own_name = f"{task.job}/{index}"

    def value(name: str) -> str | None:
        match name.split("."):
            case ["task", "job"]:
                return task.job
            case ["task", "index"]:
                return str(index)
            case ["task", "name"]:
                return own_name
            case ["task", "label"]:
                return label_of(own_name)
            case ["task", "ports", port] if task.ports.get(port) is not None:
                return str(task.ports[port])
            case ["jobs", job, "tasks"]:
                return str(sizes[job]) if job in sizes else None
        return None

    return value


def bind(
    task: Task,
    *,
    addresses: Mapping[str, Sequence[str]],
    run_directory: str,
    ports: Mapping[str, int],
) -> Bound:
    """`task` with every `${…}` filled in.

    Args:
        addresses: `host:port` of every task, by job, in the order of the index.
        run_directory: absolute path.
        ports: the task's own, by name.

    Raises InputError if a name has no value (a port that was not given, say).
    """

    def value(name: str) -> str:
        found = _late_value(name, task, addresses, run_directory, ports)
        if found is None:
            raise InputError(f"{task.name}: ${{{name}}} has no value here")
        return found

    return Bound(
        command=tuple(fill(word, value) for word in task.command),
        env={name: fill(text, value) for name, text in task.env.items()},
        workdir=fill(task.workdir, value),
        ready=task.ready and _filled(task.ready, value),
    )


def _filled(ready: ReadinessCheck, value: Callable[[str], str]) -> ReadinessCheck:
    """`ready` with its names filled in. A pattern treats values literally."""
    return with_target(ready, lambda text, known: fill(text, known), value)


def with_target(
    ready: ReadinessCheck, fill_text: Callable[[str, Known], str], value: Known
) -> ReadinessCheck:
    """`ready` with its target filled by `fill_text`, according to its kind.

    `fill_text` is `fill` or `fill_some`.

    In a pattern a value stands for itself. In a command a value stays within its word.
    """
    text = ready.target
    if "${" not in text:
        return ready
    if ready.kind == "log":

        def escaped(name: str) -> str | None:
            found = value(name)
            return None if found is None else re.escape(found)

        return replace(ready, target=fill_text(text, escaped))
    if ready.kind == "command":
        return replace(ready, target=filled(text, lambda word: fill_text(word, value), "command"))
    return replace(ready, target=fill_text(text, value))


def _late_value(
    name: str,
    task: Task,
    addresses: Mapping[str, Sequence[str]],
    run_directory: str,
    ports: Mapping[str, int],
) -> str | None:
    match name.split("."):
        case ["task", "address"]:
            own = addresses.get(task.job, ())
            return own[task.index] if task.index < len(own) else task.address
        case ["task", "ports", port] if port in ports:
            return str(ports[port])
        case ["jobs", job, "addresses"] if job in addresses:
            return ",".join(addresses[job])
        case ["jobs", job, ("addresses" | "hosts" | "ports") as kind, index] if job in addresses:
            return _of_one(kind, index, addresses[job])
        case ["run", "directory"]:
            return run_directory
        case ["run", ("tensorboard" | "checkpoints" | "results") as kind]:
            return f"{run_directory}/{kind}"
    sizes = {job: len(each) for job, each in addresses.items()}
    return known_values(task, task.index, sizes)(name)


def _of_one(kind: str, index: str, addresses: Sequence[str]) -> str | None:
    """The address, host or port of one task of a job.

    None if there is no such task.
    """
    if not INDEX.fullmatch(index) or int(index) >= len(addresses):
        return None
    address = addresses[int(index)]
    host, _, port = address.rpartition(":")
    return {"addresses": address, "hosts": host.strip("[]"), "ports": port}[kind]
