"""`cells.slurm` of a cluster file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from tenfold.units import CellSettings, FileModel, JobName, Text


def _lines(value: object) -> object:
    """Several lines in one text are several lines."""
    if isinstance(value, str):
        return value.strip("\n").splitlines()
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return [line for item in value for line in item.strip("\n").splitlines()]
    return value


Lines = Annotated[
    tuple[Text, ...], BeforeValidator(_lines, json_schema_input_type=Text | list[Text])
]


class SlurmJob(FileModel):
    """What Slurm is asked for the tasks of one job."""

    partition: Text | None = None
    """Another partition."""

    constraint: Text | None = None
    """Features that its nodes must have."""

    options: Lines = ()
    """More options of sbatch, `--exclusive` for example."""


class SlurmSettings(CellSettings):
    """`cells.slurm`: one heterogeneous batch job, a step a task."""

    summary = "A batch job of a Slurm cluster."
    titles = {"SlurmJob": "jobs.NAME"}

    partition: Text | None = None
    """The partition; Slurm's default if not said."""

    account: Text | None = None
    """The account that is charged."""

    qos: Text | None = None
    """The quality of service."""

    constraint: Text | None = None
    """Features that nodes must have."""

    time: Text | None = None
    """The time limit as Slurm writes it (`2:00:00`, `1-12`); the partition's own if not said."""

    requeue: bool = True
    """Whether Slurm may start the job again when a node fails or a job of more importance comes;
    training then goes on from its last checkpoint."""

    setup: Lines = ()
    """Lines of shell before anything else on the first node: `module load cuda`."""

    options: Lines = ()
    """More options of sbatch, for every job."""

    jobs: dict[JobName, SlurmJob] = {}
    """What is different for single jobs of the cluster."""

    def jobs_named(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The keys of `jobs`."""
        return ((("jobs", name), name) for name in self.jobs)


SETTINGS = SlurmSettings
