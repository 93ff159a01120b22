"""tenfold: one file describes a training cluster; `tenfold up` brings it up.

What you see here is the whole Python interface; everything is imported when it is first used.

    tenfold.load, tenfold.plan, tenfold.up      file → Cluster → Plan → a running cluster
    tenfold.task, tenfold.progress              inside a task: who am I, how far am I
    tenfold.attach                              in a notebook: become the cluster's chief
    tenfold.tensorflow.strategy                 the ready tf.distribute strategy
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold import tensorflow
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
    "dump",
    "load",
    "plan",
    "progress",
    "task",
    "tensorflow",
    "up",
]

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
    "plan": "tenfold.planner",
    "progress": "tenfold.member",
    "task": "tenfold.member",
    "up": "tenfold.api",
}


def __getattr__(name: str) -> Any:
    if name == "tensorflow":
        return importlib.import_module("tenfold.tensorflow")
    if name not in _HOMES:
        raise AttributeError(f"module tenfold has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
