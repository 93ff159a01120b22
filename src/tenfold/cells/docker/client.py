"""The client side of the Docker cell: run a plan in containers and clean up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace

from tenfold.base.naming import label_of
from tenfold.cells.client_side import ClientSide
from tenfold.cells.docker.doctor import capacity
from tenfold.cells.docker.doctor import compose as find_compose
from tenfold.cells.docker.doctor import engine as find_engine
from tenfold.cells.docker.engine import containers, remove
from tenfold.cells.docker.fit import container_gpus, images
from tenfold.cells.docker.project import DockerProject, handle, project_of
from tenfold.cells.probing.findings import Finding, Room
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.workdirs import inside
from tenfold.errors import InputError, TenfoldError, UnavailableError
from tenfold.planning.plan import Plan, Task
from tenfold.run import files
from tenfold.run.rundir import RunDirectory

PORT = 8080
"""The port of every task, as in the 2016 talk.

Each container has an address of its own. Only a task that asks for this very number under another
name listens on the next one.
"""

USUAL = {"tensorboard": 6006, "jupyter": 8888}


class DockerClient(ClientSide):
    """Containers on the Docker engine of this machine."""

    def place(self, plan: Plan) -> Plan:
        """Give every task a name on the run's network, and the same port."""
        image = plan.image or (f"tenfold-{plan.cluster}" if plan.build else None)
        plan = inside(replace(plan, image=image))
        tasks = tuple(_placed(task, image) for task in plan.tasks)
        if bare := [task.name for task in tasks if task.image is None]:
            raise InputError(
                f"no image is set for {bare[0]}",
                hint="write `image: NAME`, or `build: DIRECTORY` with a Dockerfile in the file",
            )
        return replace(plan, tasks=tasks)

    def require(self, plan: Plan) -> None:
        """Require an engine that responds, and Compose."""
        del plan
        for finding in (find_engine(), find_compose()[1]):
            if not finding.usable:
                raise UnavailableError(finding.message, hint=finding.hint)

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """compose.yaml."""
        from tenfold.cells.docker.compose import compose  # needs PyYAML

        return [compose(plan, places)]

    def sweep(self, run: RunDirectory) -> list[str]:
        """Remove containers and networks of the run."""
        if not files.exists(handle(run)):
            return []
        own = project_of(run)
        said = DockerProject.read(handle(run))
        kept = (said and said.project) or own
        moved = kept.rpartition("-")[0] == own.rpartition("-")[0]  # the run's, before a `mv`
        return asyncio.run(remove(kept if moved else own))

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """Run a command through `docker exec`."""
        service = label_of(task)
        found = asyncio.run(containers(project_of(run)))
        one = next((container.id for container in found if container.service == service), None)
        if one is None:
            raise TenfoldError(
                f"{task} has no container", hint="see how it ended with `tenfold ps`"
            )
        terminal = ["-it"] if sys.stdin.isatty() and sys.stdout.isatty() else ["-i"]
        return ["docker", "exec", *terminal, one, *beside_words(task, words)]

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Probe the engine and Compose."""
        del plan
        engine = find_engine()
        if engine.state == "missing":
            return [engine]  # compose alone is of no use, and would be a second line about the same
        return [engine, find_compose()[1]]

    def fit(self, plan: Plan) -> list[Finding]:
        """Check for images on the engine, and for GPUs in containers."""
        return [*images(plan), *container_gpus(plan)]

    def room(self) -> Room:
        """The capacity of the engine's machine, which may be virtual."""
        there, where = capacity(), "the engine's machine"
        return Room(where, there.cores, there.memory) if there else Room(where)


def beside_words(task: str, words: Sequence[str]) -> list[str]:
    """The command that runs `words` beside the task runner, as the task would run it."""
    return ["python", "-P", "-m", "tenfold.tasks.beside", task, *words]


def _placed(task: Task, image: str | None) -> Task:
    ports: dict[str, int | None] = dict(task.ports)
    taken = {port for port in ports.values() if port is not None}
    free = (port for port in range(PORT, 65_536) if port not in taken)
    main = next(free)
    usual = USUAL.get(task.job)
    for name, port in ports.items():
        if port is None:
            ports[name] = usual if usual and usual not in ports.values() else next(free)
    return replace(
        task,
        ports=ports,
        image=task.image or image,
        address=task.address or f"{task.label}:{main}",
    )


CLIENT = DockerClient()
