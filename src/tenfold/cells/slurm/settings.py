"""`cells.slurm` of a cluster file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from tenfold.cluster.units import CellSettings, FileModel, JobName, Text


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
    """Slurm settings for the tasks of one job."""

    partition: Text | None = None
    """The partition of this job."""

    constraint: Text | None = None
    """Features that the nodes of this job must have."""

    options: Lines = ()
    """Additional options of sbatch, such as `--exclusive`."""


class SlurmSettings(CellSettings):
    """`cells.slurm`: one heterogeneous batch job with one step per task."""

    summary = "A batch job of a Slurm cluster."
    titles = {"SlurmJob": "jobs.NAME"}

    partition: Text | None = None
    """The partition. The default is that of Slurm."""

    account: Text | None = None
    """The account to charge."""

    qos: Text | None = None
    """The quality of service."""

    constraint: Text | None = None
    """Features that nodes must have."""

    time: Text | None = None
    """The time limit in the format of Slurm (`2:00:00`, `1-12`). The default is that of the
    partition."""

    requeue: bool = True
    """Whether Slurm may requeue the job when a node fails or another job preempts it. The training
    then resumes from its last checkpoint."""

    setup: Lines = ()
    """Shell commands to run first, on the first node, such as `module load cuda`."""

    options: Lines = ()
    """Additional options of sbatch, for all jobs."""

    jobs: dict[JobName, SlurmJob] = {}
    """Settings of single jobs of the cluster."""

    def jobs_named(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """The keys of `jobs`."""
        return ((("jobs", name), name) for name in self.jobs)


SETTINGS = SlurmSettings
