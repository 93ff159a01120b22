"""Checkpoints of PyTorch: state dicts.

They are written by `torch.save` and read by `torch.load(weights_only=True)`.

Rank 0 writes; the others go on at once, and wait for it at their next collective.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.checkpoint.checkpoints import Checkpoints
from tenfold.checkpoint.manifest import Checkpoint

_FILE = "state.pt"


class StateDicts:
    """See `torch`."""

    def __init__(self, checkpoints: Checkpoints, parts: Mapping[str, Any]) -> None:
        self.checkpoints = checkpoints
        self._parts = dict(parts)

    def due(self) -> bool:
        """See `Checkpoints.due`; each rank goes by its own clock, only rank 0's matters."""
        return self.checkpoints.due()

    def save(self, step: int, position: Mapping[str, Any] | None = None) -> bool:
        """See `Checkpoints.save`. On other ranks than 0 it does nothing and gives True."""
        library: Any = importlib.import_module("torch")
        if _rank(library) != 0:
            return True

        def write(path: Path) -> None:
            states = {name: part.state_dict() for name, part in self._parts.items()}
            # A stream of Python's: its error says that the disk is full, PyTorch's own does not.
            with open(path / _FILE, "wb") as stream:
                library.save(states, stream)

        return self.checkpoints.save(step, write, position)

    def restore(self) -> Checkpoint | None:
        """Load the newest whole checkpoint into all parts.

        Returns None and changes nothing if there is none.

        If there is a process group, all its ranks have to call this, and all load the one that
        rank 0 has found. Tensors come by way of the CPU. Raises what `load_state_dict` does for
        one of another model, and TenfoldError where a rank does not see rank 0's directory.
        """
        library: Any = importlib.import_module("torch")
        found = self.checkpoints.agreed(_rank(library) == 0, lambda n: _shared(library, n))
        if found is not None:
            states = library.load(found.path / _FILE, map_location="cpu", weights_only=True)
            for name, part in self._parts.items():
                part.load_state_dict(states[name])
        return found


def torch(
    parts: Mapping[str, Any],
    name: str = "training",
    *,
    place: Path | str | None = None,
    every_s: float = 30.0,
    keep: int = 3,
) -> StateDicts:
    """Checkpoints of `parts`, by name: models, optimizers, whatever has a state dict.

    Every rank has to hold the whole of each, as with DistributedDataParallel; shards (FSDP) are
    for `torch.distributed.checkpoint`. See `Checkpoints` for the rest.
    """
    return StateDicts(Checkpoints(name, place=place, every_s=every_s, keep=keep), parts)


def _grouped(library: Any) -> bool:
    distributed = library.distributed
    return bool(distributed.is_available() and distributed.is_initialized())


def _rank(library: Any) -> int:
    return int(library.distributed.get_rank()) if _grouped(library) else 0


def _shared(library: Any, number: int) -> int:
    """Rank 0's number, on every rank."""
    if not _grouped(library):
        return number
    told = [number]
    # Of an object, because PyTorch then finds the device that the group can carry: a group of nccl
    # alone takes nothing from the CPU, and does not always give its name (seen on 2.11).
    library.distributed.broadcast_object_list(told, src=0)
    return told[0]
