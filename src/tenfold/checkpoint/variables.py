"""Checkpoints of TensorFlow: the contents of a `tf.train.Checkpoint`.

TensorFlow itself writes them.

With parameter servers each of them writes its shards into the directory that the chief names, and
the chief gives it its name when all are done: servers and chief need to see the same directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenfold.checkpoint.checkpoints import Checkpoints
from tenfold.checkpoint.manifest import Checkpoint

_PREFIX = "variables"


class Variables:
    """See `tensorflow`."""

    def __init__(self, checkpoints: Checkpoints, tracked: Any) -> None:
        self.checkpoints = checkpoints
        self._tracked = tracked

    def due(self) -> bool:
        """See `Checkpoints.due`."""
        return self.checkpoints.due()

    def save(self, step: int, position: Mapping[str, Any] | None = None) -> bool:
        """See `Checkpoints.save`. Nothing may be changing the variables meanwhile.

        Raises what TensorFlow does when a parameter server is gone; nothing has changed then.
        """

        def write(path: Path) -> None:
            self._tracked.write(str(path / _PREFIX))

        return self.checkpoints.save(step, write, position)

    def restore(self) -> Checkpoint | None:
        """Restore the variables from the newest whole checkpoint.

        Returns None and changes nothing if there is none.

        Raises AssertionError if it has nothing for any of them: it is another model's.
        """
        found = self.checkpoints.newest()
        if found is not None:
            self._tracked.read(str(found.path / _PREFIX)).assert_nontrivial_match()
        return found


def tensorflow(
    tracked: Any,
    name: str = "training",
    *,
    place: Path | str | None = None,
    every_s: float = 30.0,
    keep: int = 3,
) -> Variables:
    """Checkpoints of `tracked`, a `tf.train.Checkpoint`.

    See `Checkpoints` for the other arguments.

    Only the chief saves: with MultiWorkerMirroredStrategy the other workers hold the same values,
    and need the same directory to restore them.
    """
    return Variables(Checkpoints(name, place=place, every_s=every_s, keep=keep), tracked)
