"""Which port each task of a local run listens on.

In a namespace of its own a run may use any port, so the same plan always gets the same ones. On
the machine's shared network every port is held (see `rendezvous.HeldPort`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tenfold.errors import InputError
from tenfold.planning.plan import Plan, Task
from tenfold.run.rendezvous import HeldPort, hold_port

FIRST_PORT = 2222
"""The port TensorFlow's own examples use; a run's tasks count up from here."""

USUAL = {"tensorboard": 6006, "jupyter": 8888}
"""Usual ports of these pages.

If one is in use, the next free port is taken.
"""

MAIN = "main"
"""The name of the port that a task's peers know."""


@dataclass(slots=True)
class Ports:
    """The ports of a run's tasks, and the locks and sockets that keep them.

    Attributes:
        of: by task name, the port behind each of the task's port names, and `MAIN`.
        outside: by task name and published port, the port of this machine's loopback that leads
            to it.
    """

    of: dict[str, dict[str, int]] = field(default_factory=dict)
    outside: dict[str, dict[str, int]] = field(default_factory=dict)
    _held: dict[str, list[HeldPort]] = field(default_factory=dict)

    def release(self, task: Task) -> None:
        """Let `task`, about to start, bind its ports."""
        for held in self._held.get(task.name, ()):
            held.release()

    def close(self) -> None:
        """Release all ports."""
        for ports in self._held.values():
            for held in ports:
                held.close()
        self._held.clear()

    def hold(self, task: Task, wanted: int | None = None, prefer: int | None = None) -> int:
        """Hold one port of this machine for `task`."""
        try:
            held = hold_port(wanted, prefer=prefer)
        except InputError as error:
            error.message = f"{task.name}: {error.message}"
            raise
        self._held.setdefault(task.name, []).append(held)
        return held.port


def choose(plan: Plan, isolated: bool) -> Ports:
    """Choose ports for every task of `plan`.

    Raises InputError if a requested port is in use.
    """
    ports = Ports()
    try:
        inside = _Inside(plan) if isolated else None
        for task in plan.tasks:
            if inside is not None and task.network == "cluster":
                ports.of[task.name] = inside.take(task)
            else:
                ports.of[task.name] = _take_held(ports, task)
            ports.outside[task.name] = {
                name: _publish(ports, task, name, isolated) for name in task.publish
            }
    except InputError:
        ports.close()
        raise
    return ports


def _take_held(ports: Ports, task: Task) -> dict[str, int]:
    prefer = USUAL.get(task.job)
    named = {name: ports.hold(task, wanted, prefer) for name, wanted in task.ports.items()}
    return {MAIN: ports.hold(task)} | named


def _publish(ports: Ports, task: Task, name: str, isolated: bool) -> int:
    inside = ports.of[task.name][name]
    if not isolated or task.network == "host":
        return inside
    return ports.hold(task, task.ports[name], USUAL.get(task.job, inside))


class _Inside:
    """Ports of a network that contains nothing but this run."""

    def __init__(self, plan: Plan) -> None:
        self._owners: dict[int, str] = {}
        for task in plan.tasks:
            if task.network == "cluster":
                for port in task.ports.values():
                    if port is not None:
                        self._claim(port, task)
        self._next = FIRST_PORT

    def _claim(self, port: int, task: Task) -> None:
        owner = self._owners.setdefault(port, task.name)
        if owner != task.name:
            raise InputError(
                f"port {port} is requested by {owner} and by {task.name} on one machine",
                hint="write `auto` instead: tenfold assigns a port to each task",
            )

    def take(self, task: Task) -> dict[str, int]:
        """The task's ports, by name."""
        named = {name: port or self._free() for name, port in task.ports.items()}
        return {MAIN: self._free()} | named

    def _free(self) -> int:
        while self._next in self._owners:
            self._next += 1
        if self._next >= 65_536:
            raise InputError("the machine has not enough ports for all tasks")
        self._next += 1
        return self._next - 1
