"""Inside a PyTorch task: the process group of its cluster.

PyTorch is imported here and nowhere else in the package, when it is needed. A script that calls
`torch.distributed.init_process_group()` itself needs nothing of this: it finds what torchrun sets.

Importing this module makes a rank's end orderly (see `_end_in_order` and `end_groups_in_order`).
Preloaded tasks have imported it. In every other task `import torch` imports it: the package
declares `end_groups_in_order` as an entry point of the group `torch.backends`, which PyTorch 2.5
and later call (switched off by TORCH_DEVICE_BACKEND_AUTOLOAD=0). Outside of tasks nothing is
changed.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from tenfold.base import procfs
from tenfold.errors import UnavailableError

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

_LINGER_S = 1.0
_SETTLE_S = 0.1
_LOOK_S = 0.02
_MOST_SETTLE_S = 5.0
_GLOO_THREAD = "pt_gloo_runloop"
_LOST = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
"""Messages of collectives that have lost a peer.

Seen on PyTorch 2.13 with gloo.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """The position of this process among those that train together.

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
    """Form the process group that the environment describes.

    Returns the position of this process in it.

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
            hint=f"{sys.executable} -m pip install torch",
            cause=error,
        ) from error
    end_groups_in_order()
    return torch


def end_groups_in_order() -> None:
    """Make `destroy_process_group` wait for gloo's threads, in tasks of a run.

    The function is the one in `torch.distributed`.

    A gloo thread destroys the last collective after whoever waited for it went on, and needs the
    GIL for that. If DDP's reducer holds the group's last reference, then the group's destructor
    runs with the GIL held and joins those threads: the rank never ends (seen on PyTorch 2.13; gdb
    shows ~Reducer, ~ProcessGroupGloo, join, and gil_scoped_acquire in the other thread). So the
    threads get the GIL first. Does nothing where PyTorch is not imported, or is without groups.
    """
    groups = sys.modules.get("torch.distributed")
    module = sys.modules.get("torch.distributed.distributed_c10d")
    destroy = getattr(module, "destroy_process_group", None)
    in_run = "TENFOLD_RUN_DIRECTORY" in os.environ  # a preloaded process has no TENFOLD_TASK yet
    if groups is None or destroy is None or not in_run or hasattr(destroy, "__wrapped__"):
        return

    @functools.wraps(destroy)
    def destroy_in_order(*args: Any, **options: Any) -> Any:
        if _in_group():
            _settle()
        return destroy(*args, **options)

    for holder in (groups, module):
        vars(holder)["destroy_process_group"] = destroy_in_order


def _in_group() -> bool:
    return "TENFOLD_TASK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def _settle() -> None:
    """Wait until gloo's threads are idle, 5 s at most.

    They are idle if none has moved between two looks.

    The thread that waits gives up the GIL. One that wants the GIL wakes every 5 ms, and one that
    lacks a core is not asleep, so neither looks idle.
    """
    until = time.monotonic() + _MOST_SETTLE_S
    before = _gloo_threads()
    if not before:
        time.sleep(_SETTLE_S)
        return
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        now = _gloo_threads()
        if now == before and all(state == "S" for state, _ in now.values()):
            return
        before = now


def _gloo_threads() -> dict[int, tuple[str, str]]:
    """Each gloo thread and its voluntary switches, by number.

    The thread's state is included. Empty if none is known.
    """
    found = {}
    for thread in procfs.thread_ids("self"):
        fields = procfs.read_status("self", thread=thread) or {}
        if fields.get("Name") == _GLOO_THREAD:
            found[thread] = (fields["State"][:1], fields["voluntary_ctxt_switches"])
    return found


@atexit.register
def _end_in_order() -> None:
    """Make other tasks see the true cause of this rank's end.

    One that only lost another lets the other's end be seen first. Any lets gloo's threads let go of
    the last collective's tensors, for which they need Python: when Python is being finalised
    already, a rank that has done all its work dies of SIGABRT (seen on PyTorch 2.13, in one of
    forty runs).
    """
    if not _in_group() or "torch" not in sys.modules:
        return
    error = getattr(sys, "last_value", None)  # set when Python reports what ends a program
    if error is not None and _lost_a_peer(error):
        time.sleep(_LINGER_S)
    _settle()


def _lost_a_peer(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _LOST)


end_groups_in_order()
