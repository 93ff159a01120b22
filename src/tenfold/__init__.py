"""tenfold: one file describes a training cluster; `tenfold up` brings it up.

What you see here is the whole Python interface; everything is imported when it is first used.

    tenfold.load, tenfold.plan, tenfold.up      file → Cluster → Plan → a running cluster
    tenfold.task, tenfold.progress              inside a task: who am I, how far am I
    tenfold.attach                              in a notebook: become the cluster's chief
    %load_ext tenfold                           in a notebook: %map, %tasks, %logs
    tenfold.tensorflow.strategy                 the ready tf.distribute strategy
    tenfold.torch.initialize                    the ready torch.distributed process group
    tenfold.jax.initialize                      jax.distributed, with the cluster's processes
    tenfold.checkpoint                          save now and then, go on where it broke off
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold import checkpoint, jax, tensorflow, torch
    from tenfold.api import Run, up
    from tenfold.errors import TenfoldError
    from tenfold.file import dump, load
    from tenfold.member import Member, attach, progress, task
    from tenfold.planner import plan
    from tenfold.plans import Plan
    from tenfold.spec import Cluster, Job

__version__ = "0.1.0"

__all__ = [
    "Cluster",
    "Job",
    "Member",
    "Plan",
    "Run",
    "TenfoldError",
    "attach",
    "checkpoint",
    "dump",
    "jax",
    "load",
    "plan",
    "progress",
    "task",
    "tensorflow",
    "torch",
    "up",
]

_MODULES = ("checkpoint", "jax", "tensorflow", "torch")

_HOMES = {
    "Cluster": "tenfold.spec",
    "Job": "tenfold.spec",
    "Member": "tenfold.member",
    "Plan": "tenfold.plans",
    "Run": "tenfold.api",
    "TenfoldError": "tenfold.errors",
    "attach": "tenfold.member",
    "dump": "tenfold.file",
    "load": "tenfold.file",
    "load_ipython_extension": "tenfold.notebook",
    "plan": "tenfold.planner",
    "progress": "tenfold.member",
    "task": "tenfold.member",
    "up": "tenfold.api",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tenfold.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module tenfold has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
