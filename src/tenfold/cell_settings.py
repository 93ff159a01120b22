"""The model of `cells:`, `image:` and `build:` of a cluster file.

Owns: names, types, defaults of these keys. Leaves to others: the rest of the file (`spec`), and
the effect of the settings (`cells`). The local cell has no settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt

from tenfold.units import EnvName, EnvValue, FileModel, JobName, Memory, Names, Port, Text


def _lines(value: object) -> object:
    """Split texts with several lines into lines."""
    if isinstance(value, str):
        return value.strip("\n").splitlines()
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return [line for item in value for line in item.strip("\n").splitlines()]
    return value


Lines = Annotated[
    tuple[Text, ...], BeforeValidator(_lines, json_schema_input_type=Text | list[Text])
]


def _build(value: object) -> object:
    return {"context": value} if isinstance(value, str) else value


class Build(FileModel):
    """How to build the image."""

    context: Text = "."
    """The directory that is sent to the engine, relative to the directory of the file."""

    dockerfile: Text | None = None
    """The Dockerfile, relative to the context. The default is `Dockerfile`."""

    args: dict[EnvName, EnvValue] = {}
    """Values for `ARG`s in the Dockerfile."""


BuildValue = Annotated[Build, BeforeValidator(_build, json_schema_input_type=Text | Build)]


class DockerSettings(FileModel):
    """`cells.docker`: containers on the Docker engine of this machine."""

    code: Literal["mount", "image"] = "mount"
    """How the directory of the file gets to /workspace. `mount`: it is mounted there. `image`: the
    image contains it there."""

    mounts: Names = ()
    """Additional directories, as `HOST:CONTAINER` or `HOST:CONTAINER:ro`. HOST is relative to the
    file."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which data loaders of PyTorch use. The default of Docker is 64 MiB."""


class SlurmJob(FileModel):
    """Slurm settings for the tasks of one job."""

    partition: Text | None = None
    """The partition of this job."""

    constraint: Text | None = None
    """Features that the nodes of this job must have."""

    options: Lines = ()
    """Additional options of sbatch, such as `--exclusive`."""


class SlurmSettings(FileModel):
    """`cells.slurm`: one heterogeneous batch job with one step per task."""

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


class Storage(FileModel):
    """A volume for the run directory that outlives the pods."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim that many nodes can write (ReadWriteMany)."""

    size: Memory | None = None
    """The size of a claim that tenfold creates for the run."""

    storage_class: Text | None = None
    """The storage class of the created claim. The default is that of the cluster."""


class KubernetesSettings(FileModel):
    """`cells.kubernetes`: Jobs, a Service and a NetworkPolicy in one namespace."""

    namespace: Text | None = None
    """The namespace. The default is that of the current context."""

    context: Text | None = None
    """The context of kubeconfig. The default is the current context."""

    storage: Storage | None = None
    """Storage for the run directory. Without it, each pod has its own run directory, which is
    deleted with the pod, and tenfold collects the logs."""

    service_account: Text | None = None
    """The service account of the pods."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When nodes pull the image."""

    image_pull_secrets: Names = ()
    """Names of Secrets that nodes use to pull the image."""

    node_selector: dict[Text, Text] = {}
    """Labels that nodes must have."""

    tolerations: tuple[dict[str, Any], ...] = ()
    """Tolerations of the pods, in the format of Kubernetes."""

    user: Annotated[StrictInt, Field(ge=1)] = 1000
    """The user id in the pods."""

    port: Port = 8080
    """The port on which every task listens."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which data loaders of PyTorch use. The default is 64 MiB."""


class Cells(FileModel):
    """Settings of single cells."""

    docker: DockerSettings = DockerSettings()
    """Containers on the Docker engine of this machine."""

    slurm: SlurmSettings = SlurmSettings()
    """A batch job of a Slurm cluster."""

    kubernetes: KubernetesSettings = KubernetesSettings()
    """Jobs of a Kubernetes cluster."""
