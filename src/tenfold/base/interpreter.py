"""The Python interpreter of tenfold's own processes: its start and its path.

The path is where it finds modules.

Python looks for modules in the working directory (`-m`), in the directory of the script, and in
PYTHONPATH before it looks into its own library. A user's `random.py` would then run inside the
supervisor, which holds the run's secrets. `own` starts a process that does not do this. `settle`
reorders the path of a process that Python has started already: the `tenfold` command itself.

Tasks are the user's own programs. They are not started with these options.

Only modules that are part of the interpreter itself may be imported here and in
`tenfold/__init__.py`: anything else could be the user's before `settle` has run.
"""

import os
import sys


def own(module: str, *words: str) -> list[str]:
    """The command line of a process of tenfold's own.

    It runs `module` with this interpreter.

    It ignores the PYTHON* variables (`-E`), such as PYTHONINSPECT and PYTHONWARNINGS, unless
    tenfold or this interpreter are found only through them. Where tenfold was found in the
    working directory (`cd src; python -m tenfold`), the new process is told where.
    """
    if _installed or (_installed is None and _root() in sys.path[_library() :]):
        isolated = [] if _needs_environment() else ["-E"]
        return [sys.executable, *isolated, "-P", "-m", module, *words]
    if _root() in _python_path():
        return [sys.executable, "-P", "-m", module, *words]
    return [sys.executable, "-P", "-c", _BOOT, _root(), module, *words]


_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tenfold.base.interpreter import settle; settle(); "
    "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)

_installed: bool | None = None
"""Whether this interpreter finds tenfold by itself. None: not determined yet."""


def _needs_environment() -> bool:
    if os.environ.get("PYTHONHOME"):
        return True
    return any(os.path.isfile(f"{entry}/sitecustomize.py") for entry in _python_path())  # noqa: PTH113


def _python_path() -> list[str]:
    """The absolute directories of PYTHONPATH.

    Relative ones mean the user's directory.
    """
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [entry for entry in named if entry.startswith("/")]


def _root() -> str:
    """The directory that holds the package tenfold."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    return os.path.dirname(package)  # noqa: PTH120


def settle() -> None:
    """Search Python's library first, then site-packages, and PYTHONPATH last.

    The working directory and the directory of the script are left out, unless tenfold itself was
    found there. For a process of tenfold's own only.
    """
    global _installed
    if _installed is not None:
        return
    begin = _library()
    before, rest = sys.path[:begin], sys.path[begin:]
    if before and not getattr(sys.flags, "safe_path", False):
        del before[0]  # the directory of the script or, with -m, the working directory
    kept = [entry for entry in [*before, *_python_path()] if entry.startswith("/")]
    _installed = _root() in rest
    kept += [] if _installed else [_root()]
    sys.path[:] = rest + [entry for entry in dict.fromkeys(kept) if entry not in rest]


def _library() -> int:
    """The index of Python's own library in `sys.path`.

    site.py inserts nothing before it.
    """
    name = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    library = os.path.dirname(os.__file__)  # noqa: PTH120
    for number, entry in enumerate(sys.path):
        if entry.endswith(f"/{name}") or entry == library:
            return number
    return 0
