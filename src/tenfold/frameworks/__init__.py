"""How the tasks of a cluster find each other: one module per framework, and their table.

To add a framework, write a module with a `FRAMEWORK` and add one line to `FRAMEWORKS`. Frameworks
whose processes differ by their rank alone derive from `tenfold.frameworks.ranks.RankFramework`.

A framework knows job names, its own environment variables and what its processes survive. It
knows nothing of cells, files or plans: it is handed job names and addresses, and gives back
environment variables. Modules are imported when they are asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package

Addresses = Mapping[str, Sequence[str]]
"""`host:port` of every task, by job, in the order of the task's index."""


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """What holds for a job of this name when the file does not say otherwise.

    Attributes:
        standard_server: the framework has a server to run when the job names no command.
        service: the job never ends by itself, and its end says nothing about the cluster's.
        ready: how to tell that a task can be used; None: as soon as it runs.
        restart: whether a task that dies may be started again.
        restart_limit: how often, within an hour.
        crashes_only: only when it was killed; an exception of its own would be raised again.
        scope: what has to be started again with it.
        needed: the cluster cannot go on once a task of this job has failed for good.
        member: it belongs to the training, and is started again when all of that is.
    """

    standard_server: bool = False
    service: bool = False
    ready: Literal["tcp"] | None = None
    restart: Literal["never", "on-failure"] = "never"
    restart_limit: int = 3
    crashes_only: bool = False
    scope: Literal["task", "job", "cluster"] = "task"
    needed: bool = True
    member: bool = True


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What a framework may look at when it gives advice about one job."""

    job: str
    tasks: int
    run: Sequence[str] | None
    source: str | None
    """Text of the Python script that the job runs, where there is one and it can be read, with the
    texts of the local modules that it imports."""
    preloaded: bool = True
    """Whether the framework is imported before the script begins."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What is known of the task's environment: from the file, and what the script sets."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning: legal, but it will hurt. `path` is where in the file, `jobs.ps` for example."""

    path: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Talk:
    """Tasks that a framework has talk to each other: each of `ones` with each of `others`.

    Attributes:
        ones, others: jobs, as `worker`, or single tasks, as `worker/0`.
        sure: they surely will once training goes, so that silence is worth knowing.
    """

    ones: tuple[str, ...]
    others: tuple[str, ...]
    sure: bool = True


class Framework(Protocol):
    """What tenfold asks of a framework. Each module of the table has one, called `FRAMEWORK`."""

    name: str

    package: Package | None
    """What `tenfold doctor` looks for; None where no package is needed."""

    gpus: GpuQuestion | None
    """How `tenfold doctor` asks which GPUs the framework sees; None: it does not ask."""

    memory: MemoryCost | None
    """What `tenfold doctor` adds up for tasks that do not say how much memory they need."""

    peers: bool
    """Tasks of every job listen, so that the other tasks can connect to them."""

    corrects_launcher: bool
    """`environment` sets the rank variables of a batch system to the task's true rank."""

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """What holds for a job of this name, among `jobs`, unless the file says otherwise."""

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """The jobs whose tasks must all end well for the cluster to have succeeded."""

    def ends_together(self, jobs: Collection[str]) -> bool:
        """Whether all tasks of a group end at about the same time in a cluster of these jobs."""

    def roles(self, tasks: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Each of `tasks` (names as `worker/0`, no services) that computes, and what it does."""

    def talks(self, jobs: Mapping[str, int]) -> Iterable[Talk]:
        """Who talks to whom in a cluster of these jobs, by how many tasks each has."""

    def variables(self, job: str) -> tuple[str, ...]:
        """Names of what `environment` sets for tasks of `job`, before any address is known."""

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """The variables that make `job`/`index` a member of the cluster at `addresses`."""

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """Variables a good process has: thread limits, when `tasks` tasks share `cores` cores."""

    def preload(self) -> tuple[str, ...]:
        """Modules that every Python task will import: one process does so, and is forked."""

    def reads_at_import(self, name: str) -> bool:
        """Whether those modules may look at this environment variable while they are imported."""

    def holds_ports(self) -> dict[str, str]:
        """Variables with which a task joins a port that is still held; empty: it cannot."""

    def standard_server(self, job: str) -> tuple[str, ...]:
        """Arguments after the Python interpreter that start the standard server of `job`."""

    def requirement(self) -> tuple[str, str] | None:
        """(module, pip requirement) that every Python task needs; None when there is none."""

    def advice(self, jobs: Sequence[JobFacts]) -> Iterable[Advice]:
        """What is legal in these jobs but will hurt."""


FRAMEWORKS = {
    "tensorflow": "tenfold.frameworks.tensorflow",
    "torch": "tenfold.frameworks.torch",
    "jax": "tenfold.frameworks.jax",
    "none": "tenfold.frameworks.plain",
}
"""Name of each framework, as `framework:` of a cluster file has it, and its module."""

NO_FRAMEWORK = "none"
"""The name that stands for tasks without a framework."""


def framework(name: str) -> Framework:
    """The framework called `name`, one of `FRAMEWORKS`; KeyError for any other."""
    made: Framework = importlib.import_module(FRAMEWORKS[name]).FRAMEWORK
    return made


def framework_of(plan: Mapping[str, object]) -> Framework:
    """The framework that a stored plan names; that without a framework if it names none we know."""
    name = plan.get("framework")
    return framework(name if isinstance(name, str) and name in FRAMEWORKS else NO_FRAMEWORK)
