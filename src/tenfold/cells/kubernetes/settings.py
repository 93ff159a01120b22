"""`cells.kubernetes` of a cluster file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt

from tenfold.units import CellSettings, FileModel, Memory, Names, Port, Text


class Storage(FileModel):
    """A volume that outlives the pods: the run directory goes there."""

    claim: Text | None = None
    """An existing PersistentVolumeClaim that many nodes may write (ReadWriteMany)."""

    size: Memory | None = None
    """The size of a claim that is made for the run."""

    storage_class: Text | None = None
    """The class of the claim that is made; the cluster's default if not said."""


class KubernetesSettings(CellSettings):
    """`cells.kubernetes`: Jobs, a Service and a NetworkPolicy in one namespace."""

    summary = "Jobs of a Kubernetes cluster."
    titles = {"Storage": "storage"}

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


SETTINGS = KubernetesSettings
