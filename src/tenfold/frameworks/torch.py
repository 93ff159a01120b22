"""PyTorch: torchrun's variables, thread limits, and what its groups survive.

A process group survives nothing.

Owns everything that the parent of a PyTorch task must know; it never imports PyTorch. What runs
inside a task is in `tenfold.torch`.

Facts here were seen on PyTorch 2.13. The variables are those of
torch/distributed/elastic/agent/server/local_elastic_agent.py, but for what only an agent that
restarts the group could say. When a member dies, the others' next collective fails at once, and
none of them can take it back: a group is formed once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tenfold.frameworks import Addresses, Advice, JobFacts
from tenfold.frameworks.packages import GpuQuestion, MemoryCost, Package, text_of
from tenfold.frameworks.ranks import RankFramework, is_member, place

_VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "ROLE_NAME",
    "ROLE_RANK",
    "ROLE_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "TORCHELASTIC_MAX_RESTARTS",
    "TORCHELASTIC_USE_AGENT_STORE",
)

_READ_AT_IMPORT = (
    "TORCH",
    "PYTORCH_",
    "INDUCTOR_",
    "AOT_",
    "AOTINDUCTOR_",
    "CUDA_",
    "KMP_",
    "GOMP_",
    "DNNL_",
    "ONEDNN_",
    "MKLDNN_",
    "KINETO_",
    "NPY_",
)
"""Beginnings of variables that PyTorch and its libraries read.

Observed: getenv and os.environ, traced.
"""

_READ_LATER = frozenset({"CUDA_VISIBLE_DEVICES"})
"""Read when CUDA is first used, not at the import."""


def _build(place: Path, version: str | None) -> str | None:
    """What PyTorch was built for, from the module `version` that its build writes."""
    said = text_of(place / "version.py")
    for name, words in (("cuda", "CUDA"), ("hip", "AMD GPUs, ROCm")):
        if found := re.search(rf"^{name}\b[^=\n]*= '([\w.-]+)'", said, re.M):
            return f"built for {words} {found[1]}"
    alone = (version or "").endswith("+cpu") or re.search(r"^cuda\b[^=\n]*= None", said, re.M)
    return "built for the CPU alone" if alone else None


class Torch(RankFramework):
    """See `tenfold.frameworks.Framework` for what each method promises."""

    name = "torch"
    package = Package("torch", ("torch",), "torch", _build)
    gpus = GpuQuestion(
        "import torch as f; n = f.cuda.device_count() if f.cuda.is_available() else 0",
        "torch",
        index="https://download.pytorch.org/whl/cu126",
    )
    memory = MemoryCost(210 << 20, 145 << 20, 5 << 20)  # PSS of one to three processes, CPU build
    rank_variables = _VARIABLES
    read_at_import = _READ_AT_IMPORT
    read_later = _READ_LATER

    def environment(self, job: str, index: int, addresses: Addresses) -> dict[str, str]:
        """What torchrun sets; also GLOO_SOCKET_IFNAME where all ranks are on loopback.

        Gloo listens on the address that the host's name has, which nobody in a network namespace
        has, and which on a shared network everybody reaches.
        """
        if not is_member(job):
            return {}
        own = place(job, index, addresses)
        values = (
            own.rank,
            own.size,
            own.local_rank,
            own.local_size,
            own.host,
            own.hosts,
            job,
            index,
            len(addresses[job]),
            own.head_host,
            own.head_port,
            "none",  # torchrun's own, if it is told none
            0,
            0,
            False,  # rank 0 is to start the store: no agent has
        )
        made = {name: str(value) for name, value in zip(_VARIABLES, values, strict=True)}
        if own.on_loopback:
            made["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
        return made

    def process_environment(self, job: str, tasks: int, cores: int) -> dict[str, str]:
        """The cores shared out; a lost NCCL peer is an error, as under torchrun."""
        del job
        made = {"TORCH_NCCL_ASYNC_ERROR_HANDLING": "1"}
        if tasks > 1:
            made["OMP_NUM_THREADS"] = str(max(1, cores // tasks))
        return made

    def preload(self) -> tuple[str, ...]:
        """PyTorch, and the compiler, which the first optimizer imports.

        The compiler takes 1.8 s of each task's time.

        Both survive a fork as long as nothing has used them; so do gloo and DDP after it.
        """
        return ("torch", "torch._dynamo", "tenfold.torch")

    def requirement(self) -> tuple[str, str] | None:
        """PyTorch itself, of whichever build."""
        return ("torch", "tenfold[torch]")

    def advice(self, jobs: Sequence[JobFacts]) -> Iterator[Advice]:
        """Scripts that start ranks themselves, or save nothing."""
        yield from super().advice(jobs)
        for facts in jobs:
            starter = _starts_ranks(facts)
            if starter is not None and facts.tasks > 1:
                yield Advice(
                    f"jobs.{facts.job}.run",
                    f"each of {facts.tasks} tasks runs {starter}, which starts its own ranks",
                    "write run: python train.py; every task already is a rank",
                )


_STARTERS = ("torchrun", "torch.distributed.run", "torch.distributed.launch")


def _starts_ranks(facts: JobFacts) -> str | None:
    """The program in the job's command that would start ranks below each task."""
    words = [word.rpartition("/")[2] for word in facts.run or ()]
    return next((word for word in words if word in _STARTERS), None)


FRAMEWORK = Torch()
