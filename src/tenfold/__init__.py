"""tenfold: one file describes a training cluster. `tenfold up` starts it.

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

# Whatever is imported here, a process of tenfold's own imports before it can keep the user's
# modules out of its way: nothing but what is part of the interpreter (see `interpreter`).

import sys

_words = sys.orig_argv if sys.argv[:1] == ["-m"] else []  # the module of `python -m` is sought
if "-m" in _words and _words[_words.index("-m") + 1].partition(".")[0] == "tenfold":
    from tenfold.base.interpreter import settle

    settle()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tenfold import checkpoint, jax, tensorflow, torch
    from tenfold.bringup.api import Run, up
    from tenfold.cluster.file import dump, load
    from tenfold.cluster.spec import Cluster, Job
    from tenfold.errors import TenfoldError
    from tenfold.planning.plan import Plan
    from tenfold.planning.planner import plan
    from tenfold.tasks.member import Member, attach, progress, task

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
    "Cluster": "tenfold.cluster.spec",
    "Job": "tenfold.cluster.spec",
    "Member": "tenfold.tasks.member",
    "Plan": "tenfold.planning.plan",
    "Run": "tenfold.bringup.api",
    "TenfoldError": "tenfold.errors",
    "attach": "tenfold.tasks.member",
    "dump": "tenfold.cluster.file",
    "load": "tenfold.cluster.file",
    "load_ipython_extension": "tenfold.notebook",
    "plan": "tenfold.planning.planner",
    "progress": "tenfold.tasks.member",
    "task": "tenfold.tasks.member",
    "up": "tenfold.bringup.api",
}


def __getattr__(name: str) -> "Any":
    import importlib

    module = f"tenfold.{name}" if name in _MODULES else _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module tenfold has no attribute {name!r}")
    if sys.version_info < (3, 10):  # noqa: UP036 - a task's interpreter may be older than tenfold's
        version = sys.version.partition(" ")[0]
        raise ImportError(f"tenfold needs Python 3.10, and {sys.executable} is Python {version}")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("tenfold"):
            raise
        raise ModuleNotFoundError(
            f"tenfold.{name} does not travel with a run: only tasks of the interpreter that runs "
            f"tenfold can use it, and this one is {sys.executable}",
            name=error.name,
        ) from None
    return found if name in _MODULES else getattr(found, name)


def _imported_by_torch() -> None:
    """The entry point of the group `torch.backends` that travels with a run."""
    if sys.version_info >= (3, 10):  # noqa: UP036
        from tenfold.torch import end_groups_in_order

        end_groups_in_order()
