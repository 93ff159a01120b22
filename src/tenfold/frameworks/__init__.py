"""How the tasks of a cluster find each other.

There is one module per framework, and their table.

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
    """Defaults for a job of this name, used if the file does not set them.

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
    """The facts that a framework may use for advice about one job."""

    job: str
    tasks: int
    run: Sequence[str] | None
    source: str | None
    """Text of the job's Python script, if there is one that can be read.

    It includes the texts of the local modules that the script imports.
    """
    preloaded: bool = True
    """Whether the framework is imported before the script begins."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Known variables of the task's environment: from the file and the script.

    The latter are those that the script sets.
    """


@dataclass(frozen=True, slots=True)
class Advice:
    """A warning about a legal setting that will cause harm.

    `path` is its path in the file, `jobs.ps` for example.
    """

    path: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Talk:
    """Tasks that communicate: each of `ones` with each of `others`.

    A framework has them do so.

    Attributes:
        ones, others: jobs, as `worker`, or single tasks, as `worker/0`.
        sure: they surely will once training goes, so that silence is worth knowing.
    """

    ones: tuple[str, ...]
    others: tuple[str, ...]
    sure: bool = True


class Framework(Protocol):
    """What tenfold asks of a framework.

    Each module of the table has one, called `FRAMEWORK`.
    """

    name: str

    package: Package | None
    """What `tenfold doctor` looks for. None if no package is needed."""

    gpus: GpuQuestion | None
    """How `tenfold doctor` asks which GPUs the framework sees.

    None means that it does not ask.
    """

    memory: MemoryCost | None
    """The memory that `tenfold doctor` assumes for tasks without a request."""

    peers: bool
    """Whether tasks of every job listen, so that other tasks can connect."""

    corrects_launcher: bool
    """`environment` sets the rank variables of a batch system to the task's true rank."""

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """Defaults for a job of this name, among `jobs`."""

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """The jobs whose tasks must all succeed for the cluster to succeed."""

    def ends_together(self, jobs: Collection[str]) -> bool:
        """Whether all tasks of a group end at about the same time.

        For a cluster of these jobs.
        """

    def roles(self, tasks: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Each of `tasks` that computes, and its role.

        Names are as `worker/0`, without services.
        """

    def talks(self, jobs: Mapping[str, int]) -> Iterable[Talk]:
        """Which tasks communicate in a cluster of these jobs.

        `jobs` has the number of tasks of each.
        """

    def variables(self, job: str) -> tuple[str, ...]:
        """Names of the variables that `environment` sets for tasks of `job`.

        They are known before any address is.
        """

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """The variables that make `job`/`index` a member of the cluster at `addresses`."""

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """Variables that a good process has, such as thread limits.

        `tasks` tasks share `cores` cores.
        """

    def preload(self) -> tuple[str, ...]:
        """Modules that every Python task will import.

        One process imports them and is forked.
        """

    def reads_at_import(self, name: str) -> bool:
        """Whether those modules may look at this variable while being imported.

        It is an environment variable.
        """

    def holds_ports(self) -> dict[str, str]:
        """Variables with which a task joins a port that is still held.

        Empty if it cannot.
        """

    def standard_server(self, job: str) -> tuple[str, ...]:
        """Arguments after the Python interpreter that start the standard server of `job`."""

    def requirement(self) -> tuple[str, str] | None:
        """(module, pip requirement) that every Python task needs, or None."""

    def advice(self, jobs: Sequence[JobFacts]) -> Iterable[Advice]:
        """Warnings about legal settings of these jobs that will cause harm."""


FRAMEWORKS = {
    "tensorflow": "tenfold.frameworks.tensorflow",
    "torch": "tenfold.frameworks.torch",
    "jax": "tenfold.frameworks.jax",
    "none": "tenfold.frameworks.plain",
}
"""The module of each framework, by its name in the `framework:` of a file."""

NO_FRAMEWORK = "none"
"""The name for tasks without a framework."""


def framework(name: str) -> Framework:
    """The framework called `name`, one of `FRAMEWORKS`.

    Raises KeyError for any other name.
    """
    made: Framework = importlib.import_module(FRAMEWORKS[name]).FRAMEWORK
    return made


def framework_of(name: str | None) -> Framework:
    """The framework that a stored plan names.

    If it is none that is known, this is the one without a framework.
    """
    return framework(name if name in FRAMEWORKS else NO_FRAMEWORK)
