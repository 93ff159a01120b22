"""Inside a PyTorch task: the process group of its cluster.

PyTorch is imported here and nowhere else in the package, when it is needed. A script that calls
`torch.distributed.init_process_group()` itself needs nothing of this: it finds what torchrun sets.

Importing this module, which preloaded tasks have done, also makes a rank's end orderly: one that
another's end has brought down ends a second later than it would, so that the first failure is the
first; and none aborts when its work is done (see `_end_in_order`).
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from tenfold.errors import UnavailableError

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_LINGER_S = 1.0
_SETTLE_S = 0.1
_LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""What the messages say of collectives that lost a peer (seen on PyTorch 2.13 with gloo)."""


@dataclass(frozen=True, slots=True)
class Group:
    """This process's place among those that train together.

    Attributes:
        rank, size: among all of them; alone, 0 and 1.
        local_rank, local_size: among those on this host.
        backend: what carries the collectives, `gloo` or `cpu:gloo,cuda:nccl` if tenfold chose;
            None if there is no group.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    backend: str | None = None


def initialize(backend: str | None = None, **options: Any) -> Group:
    """Form the process group that the environment describes, and tell this process's place in it.

    Waits until every rank has come. Works the same under torchrun. Outside of both it does
    nothing, and the group is this process alone. A group that there is already stays as it is.

    Args:
        backend: None is `cpu:gloo,cuda:nccl` where PyTorch sees a GPU for each rank of this host,
            else `gloo`, which also takes the tensors of a GPU that ranks share; nccl refuses that.
        options: more for `torch.distributed.init_process_group`, `timeout` for example.
    """
    if any(not os.environ.get(name) for name in _NEEDED):
        return Group()
    torch = _import()
    distributed = torch.distributed
    if not distributed.is_initialized():
        distributed.init_process_group(backend or _usual(torch), **options)
    return Group(
        rank=distributed.get_rank(),
        size=distributed.get_world_size(),
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        local_size=_local_size(),
        backend=distributed.get_backend(),
    )


def _usual(torch: Any) -> str:
    has_own = torch.cuda.is_available() and torch.cuda.device_count() >= _local_size()
    return "cpu:gloo,cuda:nccl" if has_own else "gloo"


def _local_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _import() -> Any:
    try:
        import torch
        import torch.distributed
    except ImportError as error:
        raise UnavailableError(
            f"PyTorch is not installed for {sys.executable}",
            hint="pip install 'tenfold[torch]'",
            cause=error,
        ) from error
    return torch


@atexit.register
def _end_in_order() -> None:
    """Have the end of this rank be seen as what it is.

    One that only lost another lets the other's end be seen first. Any gives gloo's threads a moment
    to let go of the last collective's tensors, for which they need Python: when Python is being
    finalised already, a rank that has done all its work dies of SIGABRT (seen on PyTorch 2.13, in
    one of forty runs).
    """
    alone = os.environ.get("WORLD_SIZE", "1") == "1" or "torch" not in sys.modules
    if alone or "TENFOLD_TASK" not in os.environ:
        return
    error = getattr(sys, "last_value", None)  # set when Python reports what ends a program
    time.sleep(_LINGER_S if error is not None and _lost_a_peer(error) else _SETTLE_S)


def _lost_a_peer(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _LOST)
