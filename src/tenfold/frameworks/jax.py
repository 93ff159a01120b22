"""JAX: its environment, thread limits, and what its processes survive: nothing.

The environment has the coordinator, count and id.

Owns everything that the parent of a JAX task must know; it never imports JAX. What runs inside a
task, and how `jax.distributed.initialize()` alone finds its place, is in `tenfold.jax`.

Facts here were seen on JAX 0.10. Of the three variables JAX itself reads the first only; the names
of the others are those that people use. The coordinator is in process 0: without it the others
abort, and when another one dies the next collective fails in all that are left.

In a Slurm job JAX asks Slurm for the rest, and every task of a cluster is a step of one process:
each would be process 0 of 1, and train by itself without a word. So Slurm's words are made true.
"""

from __future__ import annotations

import os
from pathlib import Path

from tenfold.frameworks import Addresses
from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package, installed
from tenfold.frameworks.ranks import RankFramework, is_member, place

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

_SLURM = ("SLURM_NTASKS", "SLURM_PROCID")
"""Variables from which JAX takes count and id in a Slurm job."""

_READ_AT_IMPORT = (
    "JAX_",
    "JAX2TF_",
    "XLA_",
    "TF_",
    "TPU_",
    "LIBTPU_",
    "CUDA_",
    "GRPC_",
    "GCS_",
    "NPY_",
)
"""Beginnings of variables that JAX and its libraries read.

Observed (getenv and os.environ, traced).
"""

_READ_LATER = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "JAX_COORDINATOR_BIND_ADDRESS",
        "JAX_COORDINATOR_PORT",
        "JAX_LOCAL_DEVICE_IDS",
        "JAX_PARTITION_INDEX",
    }
)
"""Read by `jax.distributed.initialize()`, or when the first device is made."""


_ROCM = ("jax-rocm7-plugin", "jax-rocm60-plugin")


def _build(place: Path, version: str | None) -> str | None:
    """The build of JAX, which is always the same: plug-ins bring the GPUs."""
    del version
    for cuda in ("13", "12"):
        if installed((f"jax-cuda{cuda}-plugin",), place.parent):
            return f"with its plug-in for CUDA {cuda}"
    rocm = installed(_ROCM, place.parent)
    return "with its plug-in for AMD GPUs" if rocm else "for the CPU alone"


class Jax(RankFramework):
    """See `tenfold.frameworks.Framework` for what each method promises."""

    name = "jax"
    package = Package("jax", ("jax",), "jax", _build)
    gpus = GpuQuestion(
        "import jax as f; n = sum(d.platform == 'gpu' for d in f.local_devices())", "jax[cuda12]"
    )
    memory = MemoryCost(125 << 20, 90 << 20, 6 << 20)  # PSS of one to three processes
    corrects_launcher = True
    process = "process"
    rank_variables = _VARIABLES
    read_at_import = _READ_AT_IMPORT
    read_later = _READ_LATER

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """Coordinator, count and id.

        If all are on loopback, the coordinator is to stay there.

        It would listen on every address of the machine. In a Slurm job also Slurm's count and id.
        """
        if not is_member(job):
            return {}
        own = place(job, index, addresses)
        host = f"[{own.head_host}]" if ":" in own.head_host else own.head_host
        coordinator = f"{host}:{own.head_port}"
        values = (coordinator, str(own.size), str(own.rank))
        made = dict(zip(_VARIABLES, values, strict=True))
        if own.on_loopback:
            made["JAX_COORDINATOR_BIND_ADDRESS"] = coordinator
        if all(name in os.environ for name in _SLURM):
            made |= dict(zip(_SLURM, values[1:], strict=True))
        return made

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """Each task's share of the cores.

        XLA's threads on the CPU are as many as NPROC says.
        """
        del job
        if tasks <= 1:
            return {}
        each = str(max(1, cores // tasks))
        return {"NPROC": each, "OMP_NUM_THREADS": each}

    def preload(self) -> tuple[str, ...]:
        """JAX, and what makes `jax.distributed.initialize()` find the cluster.

        JAX survives a fork as long as nothing has used it: its threads begin with the first
        device.
        """
        return ("jax", "tenfold.jax")

    def requirement(self) -> tuple[str, str] | None:
        """JAX itself, for any devices."""
        return ("jax", "tenfold[jax]")


FRAMEWORK = Jax()
