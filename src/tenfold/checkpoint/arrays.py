"""Checkpoints of JAX and NumPy: nests of arrays in an `.npz` file.

The names of the arrays are stored with it.

Process 0 writes; the others go on at once, and wait for it at their next collective.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tenfold.checkpoint.checkpoints import Checkpoints
from tenfold.checkpoint.manifest import Checkpoint
from tenfold.errors import TenfoldError

_FILE, _NAMES = "arrays.npz", "names.json"


class Arrays:
    """See `arrays`."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self.checkpoints = checkpoints

    def due(self) -> bool:
        """See `Checkpoints.due`.

        Each process uses its own clock, but only that of process 0 matters.
        """
        return self.checkpoints.due()

    def save(self, step: int, tree: Any, position: Mapping[str, Any] | None = None) -> bool:
        """See `Checkpoints.save`. Other processes than 0 do nothing and return True.

        `tree` is any nest of arrays and numbers that JAX takes for one; without JAX, of dicts,
        lists and tuples. Each process has to hold the whole of each array. Raises TenfoldError for
        one that holds Python objects.
        """
        if _process() != 0:
            return True

        def write(path: Path) -> None:
            numpy: Any = importlib.import_module("numpy")
            leaves = {name: numpy.asarray(leaf) for name, leaf in _leaves(tree)}
            for name, leaf in leaves.items():
                if leaf.dtype.hasobject:
                    raise TenfoldError(f"{name or 'the tree'} is not an array of numbers")
            numpy.savez(path / _FILE, *leaves.values())
            (path / _NAMES).write_text(json.dumps(list(leaves)), encoding="utf-8")

        return self.checkpoints.save(step, write, position)

    def restore(self, like: Any) -> tuple[Any, Checkpoint] | None:
        """A tree of the newest whole checkpoint's arrays, and the checkpoint.

        None if there is no checkpoint.

        They are NumPy's, to be put on devices as those of `like` are, which says what there is to
        be: names, shapes, types. Processes of one JAX all have to call this, and get what process
        0 has found. Raises TenfoldError if the checkpoint is of another kind of tree, or where a
        process does not see the directory of process 0.
        """
        found = self.checkpoints.agreed(_process() == 0, _shared)
        if found is None:
            return None
        numpy: Any = importlib.import_module("numpy")
        names = json.loads((found.path / _NAMES).read_text(encoding="utf-8"))
        with numpy.load(found.path / _FILE, allow_pickle=False) as kept:
            saved = {name: kept[f"arr_{place}"] for place, name in enumerate(names)}
        wanted = dict(_leaves(like))
        if other := sorted(wanted.keys() ^ saved.keys()):
            raise TenfoldError(f"{found.path} has another structure: {', '.join(other[:5])}")
        fitted = [_fitted(numpy, saved[name], leaf, name) for name, leaf in wanted.items()]
        return _rebuilt(like, iter(fitted)), found


def arrays(
    name: str = "training",
    *,
    place: Path | str | None = None,
    every_s: float = 30.0,
    keep: int = 3,
) -> Arrays:
    """Checkpoints of nests of arrays of JAX or NumPy.

    See `Checkpoints` for the arguments.
    """
    return Arrays(Checkpoints(name, place=place, every_s=every_s, keep=keep))


def _jax() -> Any:
    """JAX, if something has imported it; the script, perhaps, or TensorFlow."""
    return sys.modules.get("jax")


def _together() -> bool:
    """Whether there are other processes. To ask JAX itself would start its threads."""
    jax = _jax()
    return jax is not None and bool(jax.distributed.is_initialized())


def _process() -> int:
    return int(_jax().process_index()) if _together() else 0


def _shared(number: int) -> int:
    """The number of process 0, in every process."""
    if not _together():
        return number
    numpy: Any = importlib.import_module("numpy")
    told = importlib.import_module("jax.experimental.multihost_utils")
    return int(told.broadcast_one_to_all(numpy.int32(number)))


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    """Each leaf and its path in the tree, such as `['layers'][0]`."""
    jax = _jax()
    if jax is None:
        return list(_plain_leaves(tree, ""))
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in flat]


def _plain_leaves(tree: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key in sorted(tree):
            yield from _plain_leaves(tree[key], f"{at}[{key!r}]")
    elif isinstance(tree, (list, tuple)):
        for place, each in enumerate(tree):
            yield from _plain_leaves(each, f"{at}[{place}]")
    else:
        yield at, tree


def _rebuilt(like: Any, leaves: Iterator[Any]) -> Any:
    jax = _jax()
    if jax is not None:
        return jax.tree.unflatten(jax.tree.structure(like), leaves)
    if isinstance(like, dict):
        return {key: _rebuilt(like[key], leaves) for key in sorted(like)}
    if isinstance(like, (list, tuple)):
        return type(like)([_rebuilt(each, leaves) for each in like])
    return next(leaves)


def _fitted(numpy: Any, saved: Any, like: Any, name: str) -> Any:
    """A saved array as one like `like`. Raises TenfoldError if it cannot be."""
    if isinstance(like, (bool, int, float, complex)):
        return saved.item()
    dtype, shape = numpy.dtype(like.dtype), tuple(like.shape)
    if saved.dtype.kind == "V" and saved.dtype.itemsize == dtype.itemsize:
        saved = saved.view(dtype)  # bfloat16 and its like, which npz files do not know
    if saved.dtype != dtype or saved.shape != shape:
        raise TenfoldError(
            f"{name or 'the array'} was saved as {saved.dtype}{list(saved.shape)}, but is now"
            f" {dtype}{list(shape)}"
        )
    return saved
