"""JAX: coordinator, count and id, thread limits, and what its processes survive: nothing.

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
from collections.abc import Collection, Iterable, Mapping, Sequence

from tenfold.frameworks import Addresses, Advice, JobDefaults, JobFacts, Talk
from tenfold.frameworks.ranks import (
    advice_to_save,
    decisive,
    defaults_of_ranks,
    is_member,
    place,
    talks_of_ranks,
)

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

_SLURM = ("SLURM_NTASKS", "SLURM_PROCID")
"""What JAX takes count and id from in a Slurm job."""

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
"""Beginnings of what JAX and its libraries were seen to read (getenv and os.environ, traced)."""

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


class Jax:
    """See `tenfold.frameworks.Framework` for what each method promises."""

    name = "jax"
    corrects_launcher = True

    def job_defaults(self, job: str, jobs: Collection[str]) -> JobDefaults:
        """The coordinator takes none back: when a process is killed, all start again together."""
        del jobs
        return defaults_of_ranks(job)

    def success_jobs(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """All processes of chief, master and workers must end well; without these, all jobs."""
        return decisive(jobs)

    def talks(self, jobs: Mapping[str, int]) -> Iterable[Talk]:
        """All processes with the coordinator; any two, as the collectives like."""
        return talks_of_ranks(jobs)

    def variables(self, job: str) -> tuple[str, ...]:
        """Coordinator, count and id, for every job but services."""
        return _VARIABLES if is_member(job) else ()

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """Coordinator, count and id; where all are on loopback, the coordinator is to stay there.

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
        """The cores shared out: XLA's threads on the CPU are as many as NPROC says."""
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

    def reads_at_import(self, name: str) -> bool:
        """JAX's, XLA's and their libraries' own, but for those about the cluster."""
        return name.startswith(_READ_AT_IMPORT) and name not in _READ_LATER

    def holds_ports(self) -> dict[str, str]:
        """The coordinator binds its port alone."""
        return {}

    def standard_server(self, job: str) -> tuple[str, ...]:
        """There is none."""
        raise KeyError(job)

    def requirement(self) -> tuple[str, str] | None:
        """JAX itself, for whichever devices."""
        return ("jax", "tenfold[jax]")

    def advice(self, jobs: Sequence[JobFacts]) -> Iterable[Advice]:
        """Scripts that save nothing; JAX says itself what else is known to hurt."""
        return advice_to_save(jobs)


FRAMEWORK = Jax()
