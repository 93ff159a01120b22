"""`cells.docker` of a cluster file."""

from __future__ import annotations

from typing import Literal

from tenfold.cluster.units import CellSettings, Memory, Names


class DockerSettings(CellSettings):
    """`cells.docker`: containers on the Docker engine of this machine."""

    summary = "Containers on the Docker engine of this machine."
    paths = ("mounts",)

    code: Literal["mount", "image"] = "mount"
    """How the directory of the file gets to /workspace. `mount`: it is mounted there. `image`: the
    image contains it there."""

    mounts: Names = ()
    """Additional directories, as `HOST:CONTAINER` or `HOST:CONTAINER:ro`. HOST is relative to the
    file."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which data loaders of PyTorch use. The default of Docker is 64 MiB."""


SETTINGS = DockerSettings
