"""What `cells:`, `image:` and `build:` of a cluster file can say: how it runs on each kind of cell.

Owns: names, types, defaults of these keys. Leaves to others: the rest of the file (`spec`), and
what a cell makes of its settings (`cells`). The local cell has no settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt

from tenfold.units import EnvName, EnvValue, FileModel, JobName, Memory, Names, Port, Text


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


def _build(value: object) -> object:
    return {"context": value} if isinstance(value, str) else value


class Build(FileModel):
    """How the image is built."""

    context: Text = "."
    """The directory that is sent to the engine, relative to the file's."""

    dockerfile: Text | None = None
    """The Dockerfile, relative to the context; `Dockerfile` if not said."""

    args: dict[EnvName, EnvValue] = {}
    """Values of the Dockerfile's `ARG`s."""


BuildValue = Annotated[Build, BeforeValidator(_build, json_schema_input_type=Text | Build)]


class DockerSettings(FileModel):
    """`cells.docker`: containers of this machine's engine."""

    code: Literal["mount", "image"] = "mount"
    """Where the file's directory comes from: `mount`: it is mounted at /workspace; `image`: the
    image holds it there."""

    mounts: Names = ()
    """More directories, as `HOST:CONTAINER` or `HOST:CONTAINER:ro`; HOST is relative to the
    file."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which PyTorch's data loaders use; Docker's own 64 MiB if not said."""


class SlurmJob(FileModel):
    """What Slurm is asked for the tasks of one job."""

    partition: Text | None = None
    """Another partition."""

    constraint: Text | None = None
    """Features that its nodes must have."""

    options: Lines = ()
    """More options of sbatch, `--exclusive` for example."""


class SlurmSettings(FileModel):
    """`cells.slurm`: one heterogeneous batch job, a step a task."""

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


class Storage(FileModel):
    """A volume that outlives the pods: the run directory goes there."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim that many nodes may write (ReadWriteMany)."""

    size: Memory | None = None
    """The size of a claim that is made for the run."""

    storage_class: Text | None = None
    """The class of the claim that is made; the cluster's default if not said."""


class KubernetesSettings(FileModel):
    """`cells.kubernetes`: Jobs, a Service and a NetworkPolicy in one namespace."""

    namespace: Text | None = None
    """The namespace; the current context's if not said."""

    context: Text | None = None
    """The context of kubeconfig; the current one if not said."""

    storage: Storage | None = None
    """Where the run directory is kept; without it, it ends with each pod, and tenfold collects
    the logs."""

    service_account: Text | None = None
    """The pods' service account."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When nodes fetch the image."""

    image_pull_secrets: Names = ()
    """Names of Secrets with which nodes may fetch it."""

    node_selector: dict[Text, Text] = {}
    """Labels that nodes must have."""

    tolerations: tuple[dict[str, Any], ...] = ()
    """Taints that the pods put up with, in Kubernetes' own form."""

    user: Annotated[StrictInt, Field(ge=1)] = 1000
    """The number of the user in the pods."""

    port: Port = 8080
    """The port that every task listens on."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which PyTorch's data loaders use; 64 MiB if not said."""


class Cells(FileModel):
    """Settings of single cells."""

    docker: DockerSettings = DockerSettings()
    """Containers of this machine's Docker engine."""

    slurm: SlurmSettings = SlurmSettings()
    """A batch job of a Slurm cluster."""

    kubernetes: KubernetesSettings = KubernetesSettings()
    """Jobs of a Kubernetes cluster."""
