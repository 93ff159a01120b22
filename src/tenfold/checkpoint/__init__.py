"""Checkpoints for scripts: saved whole or not at all.

The newest whole one is found again.

    saved = tenfold.checkpoint.tensorflow(tf.train.Checkpoint(rows=table), every_s=30, keep=3)
    begun = saved.restore()                      # None, or its step, position, time
    …
    if saved.due():
        saved.save(step, {"epoch": 1, "tokens": 4096})

    tensorflow    a tf.train.Checkpoint
    torch         models and optimizers: whatever has a state dict
    arrays        nests of arrays, JAX's and NumPy's
    Checkpoints   anything else: a function that writes files into a directory

docs/checkpoints.md says what is promised. Frameworks are imported when they are used.
"""

from tenfold.checkpoint.arrays import Arrays, arrays
from tenfold.checkpoint.checkpoints import Checkpoints
from tenfold.checkpoint.manifest import Checkpoint
from tenfold.checkpoint.state_dicts import StateDicts, torch
from tenfold.checkpoint.variables import Variables, tensorflow

__all__ = [
    "Arrays",
    "Checkpoint",
    "Checkpoints",
    "StateDicts",
    "Variables",
    "arrays",
    "tensorflow",
    "torch",
]
