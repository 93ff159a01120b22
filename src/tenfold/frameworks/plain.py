"""No framework: tasks are commands, and learn of each other through TENFOLD_* variables alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from tenfold.frameworks import Addresses, Advice, JobDefaults, JobFacts, Talk


class Plain:
    """Commands that need nothing said beyond the addresses every task gets."""

    name = "none"
    package = None
    gpus = None
    memory = None
    peers = False
    corrects_launcher = False

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """Every job is taken at its word: it runs, ends, and a failure is the cluster's."""
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
        """Nothing is known of what a command does."""
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
        """Nothing: what a plain command does with cores is its own business."""
        del job, tasks, cores
        return {}

    def preload(self) -> tuple[str, ...]:
        """Nothing: what a plain command needs is not known."""
        return ()

    def reads_at_import(self, name: str) -> bool:
        """Nothing is imported unless the file says so; then, any might be read."""
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
        """Nothing to say."""
        del jobs
        return ()


FRAMEWORK = Plain()
