"""No framework: tasks are commands that use only the TENFOLD_* variables.

They learn of each other through these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tenfold.frameworks import Addresses, Advice, JobDefaults, JobFacts, Talk


class Plain:
    """Commands that need only the addresses that every task gets."""

    name = "none"
    package = None
    gpus = None
    memory = None
    peers = False
    corrects_launcher = False

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """Default settings: every job runs and ends, and its failure is the cluster's."""
        del job, jobs
        return JobDefaults()

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """The chief, if a job is called that; else all of them."""
        return ("chief",) if "chief" in jobs else tuple(jobs)

    def ends_together(self, jobs: Collection[str]) -> bool:
        """Commands may end whenever they like."""
        del jobs
        return False

    def roles(self, tasks: Sequence[str]) -> Iterable[tuple[str, str]]:
        """Empty: the role of a command is not known."""
        return ((task, "runs its command") for task in tasks)

    def talks(self, jobs: Mapping[str, int]) -> Iterable[Talk]:
        """Nobody is known to."""
        del jobs
        return ()

    def variables(self, job: str) -> tuple[str, ...]:
        """None."""
        del job
        return ()

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """Nothing: TENFOLD_* variables are set for every framework elsewhere."""
        del job, index, addresses
        return {}

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """Empty: a plain command decides itself how to use the cores."""
        del job, tasks, cores
        return {}

    def preload(self) -> tuple[str, ...]:
        """Empty: it is not known what a plain command imports."""
        return ()

    def reads_at_import(self, name: str) -> bool:
        """False: nothing is imported unless the file requests it.

        In that case any variable might be read.
        """
        del name
        return False

    def holds_ports(self) -> dict[str, str]:
        """A plain command binds its port alone."""
        return {}

    def standard_server(self, job: str) -> tuple[str, ...]:
        """There is none."""
        raise KeyError(job)

    def requirement(self) -> tuple[str, str] | None:
        """Nothing."""
        return None

    def advice(self, jobs: Sequence[JobFacts]) -> Iterable[Advice]:
        """Empty: there is no advice."""
        del jobs
        return ()


FRAMEWORK = Plain()
