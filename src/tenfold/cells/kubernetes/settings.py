"""`cells.kubernetes` of a cluster file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt

from tenfold.cluster.units import CellSettings, FileModel, Memory, Names, Port, Text


class Storage(FileModel):
    """A volume for the run directory that outlives the pods."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim that many nodes can write (ReadWriteMany)."""

    size: Memory | None = None
    """The size of a claim that tenfold creates for the run."""

    storage_class: Text | None = None
    """The storage class of the created claim. The default is that of the cluster."""


class KubernetesSettings(CellSettings):
    """`cells.kubernetes`: Jobs, a Service and a NetworkPolicy in one namespace."""

    summary = "Jobs of a Kubernetes cluster."
    titles = {"Storage": "storage"}

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


SETTINGS = KubernetesSettings
