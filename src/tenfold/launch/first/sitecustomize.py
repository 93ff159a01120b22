"""Load triton's library before TensorFlow's, in each Python process of a task.

Python imports this module when it starts, because `tenfold.launch.together` puts its directory
into PYTHONPATH. It then runs the `sitecustomize` that Python would have imported without it.
It imports nothing of tenfold: the interpreter may be another one than tenfold's.

When a program imports TensorFlow, `libtriton.so` is loaded first, if triton is installed. That
takes 0.1 s and imports no Python module. See `tenfold.launch.together` for why the order matters.
"""

# It is part of every start of Python, so it imports no pathlib and no contextlib.
# ruff: noqa: PTH100, PTH118, PTH120, SIM105

from __future__ import annotations

import importlib
import os
import sys


class _BeforeTensorFlow:
    """An import hook that acts once, when TensorFlow is imported.

    It finds no module itself.
    """

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        """Load triton's library if `name` is TensorFlow."""
        del path, target
        if name == "tensorflow":
            if cls in sys.meta_path:
                sys.meta_path.remove(cls)
            try:
                _load_library_of_triton()
            except Exception:
                pass  # the import of TensorFlow then goes on as it would without this hook


def _load_library_of_triton() -> None:
    import ctypes
    from importlib.machinery import PathFinder

    if "triton" in sys.modules:
        return
    found = PathFinder.find_spec("triton")
    for place in (found and found.submodule_search_locations) or ():
        directory = os.path.join(place, "_C")
        for name in os.listdir(directory):
            if name.startswith("libtriton") and name.endswith(".so"):
                ctypes.CDLL(os.path.join(directory, name))


def _run_the_next_sitecustomize() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    own = sys.modules.pop("sitecustomize", None)
    try:
        importlib.import_module("sitecustomize")
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if own is not None:
            sys.modules.setdefault("sitecustomize", own)


sys.meta_path.insert(0, _BeforeTensorFlow)
_run_the_next_sitecustomize()
