"""Ranks: which tasks form one group, and the rank of each.

Owns what torch and JAX have in common, whose processes all do the same and are told apart by a
number, and the base of both. Leaves to them: how a process is told (`torch`, `jax`).

`chief`, `master` and `worker` are one group, in this order: whoever says `worker: {tasks: 4}` means
four ranks, and a chief beside them is rank 0. Any other job is a group of its own, so that one that
fetches data first, or another training beside the first, is not waited for by anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tenfold.base.naming import job_of
from tenfold.frameworks import Addresses, Advice, JobDefaults, JobFacts, Talk
from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package

TOGETHER = ("chief", "master", "worker")
"""Jobs of one group, in the order of their ranks."""

SERVICES = ("tensorboard", "jupyter")
"""What tenfold runs beside a cluster: a member of no group."""


@dataclass(frozen=True, slots=True)
class RankPlacement:
    """Where a task is in its group.

    Attributes:
        rank, size: among all tasks of the group; rank 0 is the one the others connect to.
        local_rank, local_size: among those on the same host.
        host, hosts: number of the host among those of the group, in the order of their first
            rank, and how many there are.
        head_host, head_port: where rank 0 is to listen; an IPv6 address has no brackets.
        on_loopback: all of the group are on this machine's loopback address, and nowhere else.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: int
    hosts: int
    head_host: str
    head_port: int
    on_loopback: bool


def is_member(job: str) -> bool:
    """Whether tasks of `job` are in a group at all."""
    return job not in SERVICES


def decisive(jobs: Sequence[str]) -> tuple[str, ...]:
    """Of `jobs`, the group of chief, master and workers; without one, all."""
    return tuple(job for job in jobs if job in TOGETHER) or tuple(jobs)


def place(job: str, index: int, addresses: Addresses) -> RankPlacement:
    """The place of `job`/`index` in the group that `addresses` contain.

    It must be a member.
    """
    jobs = [name for name in TOGETHER if name in addresses] if job in TOGETHER else [job]
    ranks = [address for name in jobs for address in addresses[name]]
    rank = sum(len(addresses[name]) for name in jobs[: jobs.index(job)]) + index
    on = [host_of(address) for address in ranks]
    hosts = list(dict.fromkeys(on))
    return RankPlacement(
        rank=rank,
        size=len(ranks),
        local_rank=on[:rank].count(on[rank]),
        local_size=on.count(on[rank]),
        host=hosts.index(on[rank]),
        hosts=len(hosts),
        head_host=on[0],
        head_port=int(ranks[0].rpartition(":")[2]),
        on_loopback=all(is_loopback(host) for host in hosts),
    )


_SAVES = ("checkpoint", "snapshot", ".save", "pickle.dump", "orbax")

NO_SAVE = (
    "the script itself saves no checkpoint: unless one of your modules does, a crash loses "
    "the whole training"
)
"""The message if the script saves no checkpoint.

Only the script is read: what it imports may save.
"""


def host_of(address: str) -> str:
    """`worker-0` of `worker-0:2222`, `::1` of `[::1]:2222`."""
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")


def is_loopback(host: str) -> bool:
    """Whether `host` means this machine for everybody on it.

    For anybody else it means nothing.
    """
    return host in ("localhost", "::1") or host.startswith("127.")


class RankFramework:
    """A framework whose processes differ by their rank alone.

    See `tenfold.frameworks.Framework`.

    A module derives from it, fills in the attributes, and writes `environment`,
    `process_environment`, `preload` and `requirement`.

    Attributes:
        process: what the framework calls a member of a group: `rank`.
        rank_variables: names of the variables that `environment` sets for every member.
        read_at_import: beginnings of the variables that may be read during the import.
        read_later: those of them that are read after it.
    """

    name: str
    package: Package | None = None
    gpus: GpuQuestion | None = None
    memory: MemoryCost | None = None
    peers = True
    corrects_launcher = False

    process = "rank"
    rank_variables: tuple[str, ...] = ()
    read_at_import: tuple[str, ...] = ()
    read_later: frozenset[str] = frozenset()

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """A group is formed once: when a member is killed, all are restarted together."""
        del jobs
        together = job in TOGETHER
        return JobDefaults(
            restart="on-failure",
            crashes_only=True,
            scope="cluster" if together else "job",
            member=together,
        )

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """All tasks of chief, master and workers must succeed; without these, all jobs."""
        return decisive(jobs)

    def ends_together(self, jobs: Collection[str]) -> bool:
        """Each collective needs all members of the group."""
        return "ps" not in jobs

    def roles(self, tasks: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Number of each task in its group, and the part of the model that it holds."""
        groups: dict[str, list[str]] = {}
        for task in tasks:
            job = job_of(task)
            groups.setdefault("" if job in TOGETHER else job, []).append(task)
        for group in groups.values():
            group.sort(
                key=lambda task: TOGETHER.index(job_of(task)) if job_of(task) in TOGETHER else 0
            )
            for rank, task in enumerate(group):
                yield task, self._role(rank, len(group))

    def _role(self, rank: int, size: int) -> str:
        if size == 1:
            return f"{self.process} 0 of 1: holds the whole model"
        held = "the whole model, as data parallel training has it, unless the script splits it"
        return f"{self.process} {rank} of {size}: {held}"

    def talks(self, jobs: Mapping[str, int]) -> Iterator[Talk]:
        """In each group all with its first, which they meet at, and perhaps any two."""
        together = tuple(job for job in TOGETHER if job in jobs)
        alone = ((job,) for job in jobs if job not in TOGETHER and is_member(job))
        for group in (together, *alone):
            if group:
                yield Talk((f"{group[0]}/0",), group)
                yield Talk(group, group, sure=False)

    def variables(self, job: str) -> tuple[str, ...]:
        """`rank_variables`, for every job but services."""
        return self.rank_variables if is_member(job) else ()

    def reads_at_import(self, name: str) -> bool:
        """The framework's own variables and those of its libraries, as they were traced."""
        return name.startswith(self.read_at_import) and name not in self.read_later

    def holds_ports(self) -> dict[str, str]:
        """The first of a group binds its port alone."""
        return {}

    def standard_server(self, job: str) -> tuple[str, ...]:
        """There is none."""
        raise KeyError(job)

    def advice(self, jobs: Sequence[JobFacts]) -> Iterator[Advice]:
        """Scripts of a group that save nothing: when a member dies, all begin anew."""
        for facts in jobs:
            source = (facts.source or "checkpoint").lower()
            if facts.job in TOGETHER and not any(word in source for word in _SAVES):
                yield Advice(
                    f"jobs.{facts.job}.run",
                    NO_SAVE,
                    "save and resume it with tenfold.checkpoint; see docs/checkpoints.md",
                )
