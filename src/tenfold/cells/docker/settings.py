"""`cells.docker` of a cluster file."""

from __future__ import annotations

from typing import Literal

from tenfold.units import CellSettings, Memory, Names


class DockerSettings(CellSettings):
    """`cells.docker`: containers of this machine's engine."""

    summary = "Containers of this machine's Docker engine."
    paths = ("mounts",)

    code: Literal["mount", "image"] = "mount"
    """Where the file's directory comes from: `mount`: it is mounted at /workspace; `image`: the
    image holds it there."""

    mounts: Names = ()
    """More directories, as `HOST:CONTAINER` or `HOST:CONTAINER:ro`; HOST is relative to the
    file."""

    shm_size: Memory | None = None
    """Size of /dev/shm, which PyTorch's data loaders use; Docker's own 64 MiB if not said."""


SETTINGS = DockerSettings
