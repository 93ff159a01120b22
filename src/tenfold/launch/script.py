"""Turn a forked process into a Python program.

It sees what `python train.py` would see.

Owns everything a fresh interpreter sets up for its program and a fork does not: `__main__`,
`sys.argv` and `sys.path`, the environment, signal handlers, random states, and what the kernel
shows as the command line and environment. Leaves to others: the modules that are there already
(`preload`), stdio, the working directory and namespaces (`server`).

What it has to be is what CPython does (3.11, Modules/main.c: pymain_run_python and what it calls);
tests/launch/test_script.py compares the two, program for program.

Different all the same: the secret behind the hashes of strings is one for all tasks that were
forked from one preload, cyclic garbage of the modules' import is never collected, and a few frames
of this module are at the bottom of every stack.
"""

# Paths are made as CPython makes them, which pathlib would not.
# ruff: noqa: PTH109, PTH118, PTH120

from __future__ import annotations

import builtins
import ctypes
import gc
import importlib.machinery
import os
import runpy
import signal
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tenfold.base import procfs
from tenfold.base.older import SAFE_PATH
from tenfold.cluster.programs import PythonCommand
from tenfold.debug import answers

_AS_PYTHON_STARTS: dict[int, signal.Handlers] = {
    signal.SIGCHLD: signal.SIG_DFL,
    signal.SIGPIPE: signal.SIG_IGN,
    signal.SIGXFSZ: signal.SIG_IGN,
}


@dataclass(frozen=True, slots=True)
class Script:
    """A program for the process that was forked for it.

    Its call does not return normally.

    `argv` is the command line as given, `command` the same taken apart.
    """

    command: PythonCommand
    argv: tuple[str, ...]
    environment: Mapping[str, str]

    def __call__(self) -> None:
        """Run the program. An exception reaches the interpreter as usual.

        Must be called by the outermost code of the process, and nothing must follow: what a
        program does when it ends (atexit, exit code, death by SIGINT) is left to the interpreter.
        """
        prepare(self.argv, self.environment)
        module = _fresh_main()
        try:
            self._run(module)
        except SystemExit:
            raise
        except BaseException as error:
            _report(error)

    def _run(self, module: types.ModuleType) -> None:
        command = self.command
        sys.argv = [command.target, *command.arguments]
        if command.kind == "module":
            sys.argv[0] = "-m"
            _add_to_path(os.getcwd())
            runpy._run_module_as_main(command.target)  # type: ignore[attr-defined]
        elif command.kind == "code":
            sys.argv[0] = "-c"
            _add_to_path("")
            code = compile(command.target, "<string>", "exec", dont_inherit=True)
            _remember_source(code, command.target)
            exec(code, vars(module))
        elif _holds_main(command.target):
            sys.path.insert(0, _absolute(command.target))
            runpy._run_module_as_main("__main__", False)  # type: ignore[attr-defined]
        else:
            _add_to_path(os.path.dirname(os.path.realpath(command.target)))
            _run_file(_absolute(command.target), module)


def prepare(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Make this forked process's state that of a fresh interpreter started as `argv`."""
    os.environ.clear()
    os.environ.update(environment)
    show_as(argv, environment)
    sys.orig_argv = list(argv)
    signal.set_wakeup_fd(-1)
    for number, handler in _AS_PYTHON_STARTS.items():
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.current_thread()._set_native_id()  # type: ignore[attr-defined]
    answers.answer(environment)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever forked it has blocked all
    tempfile.tempdir = None
    _scatter_random_states()
    gc.enable()


def _scatter_random_states() -> None:
    """Set new seeds where an import has drawn one.

    `random` does so itself after every fork.
    """
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)
        vars(processes)["ORIGINAL_DIR"] = os.getcwd()


def _fresh_main() -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__loader__ = importlib.machinery.BuiltinImporter
    vars(module).update({"__annotations__": {}, "__builtins__": builtins})
    sys.modules["__main__"] = module
    if "__mp_main__" in sys.modules:  # multiprocessing's second name for it
        sys.modules["__mp_main__"] = module
    return module


def _absolute(path: str) -> str:
    return os.path.join(os.getcwd(), path)


def _add_to_path(entry: str) -> None:
    if not SAFE_PATH:
        sys.path.insert(0, entry)


def _holds_main(path: str) -> bool:
    """Whether Python would run `__main__` in `path`: a directory or an archive."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _run_file(path: str, module: types.ModuleType) -> None:
    try:
        with open(path, "rb") as stream:
            source = stream.read()
    except OSError as error:
        python = sys.orig_argv[0]
        print(
            f"{python}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    vars(module).update({"__file__": path, "__cached__": None})
    exec(compile(source, path, "exec", dont_inherit=True), vars(module))


def _remember_source(code: types.CodeType, source: str) -> None:
    """Let tracebacks quote the source of `-c`, as they do in Python 3.13 and later.

    They would quote the code with which the preload was started.
    """
    if sys.version_info >= (3, 13):
        import linecache

        if hasattr(linecache, "_interactive_cache"):  # since 3.13.1
            linecache._register_code(code, source, "<string>")
        else:
            lines = [f"{line}\n" for line in source.splitlines()]
            linecache.cache["<string>"] = (len(source), None, lines, "<string>")


def _report(error: BaseException) -> NoReturn:
    """Print an error as the interpreter would, then die of it.

    The frames of this module are left out.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    sys.excepthook = lambda *_: None
    raise error


# The kernel shows as a process's command line and environment what the memory holds in which it
# put them when the program was started (proc(5)). After a fork that is still the parent's; written
# over, `ps`, `tenfold exec` and the search for orphans see the task's own. Whoever is to be forked
# from was started with words to spare.


def show_as(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Make the kernel show these as the command line and environment.

    They are shown as far as the memory for them reaches.

    A command line that is too long is cut; of an environment what does not fit is left out. Does
    nothing where there is no /proc. No C code may hold pointers into the old environment: give a
    new one after `os.environ` was set anew only.
    """
    bounds = _memory_bounds()
    if bounds is None:
        return
    _write(bounds[0], argv, gaps=False)
    if environment is not None:
        pairs = [f"{name}={value}" for name, value in environment.items()]
        _write(bounds[1], pairs, gaps=True)


def _write(bounds: tuple[int, int], words: Sequence[str], *, gaps: bool) -> None:
    """Write each of `words` that fits, followed by a zero byte.

    At least one byte stays free.

    Without `gaps` only those before the first that does not fit.
    """
    begin, end = bounds
    block = bytearray()
    for word in words:
        piece = os.fsencode(word) + b"\0"
        if len(block) + len(piece) < end - begin:
            block += piece
        elif not gaps:
            break
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, bytes(block), len(block))


def _memory_bounds() -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Start and end of the memory of this process's arguments and environment."""
    stat = procfs.read_stat("self")
    return (stat.argument_area, stat.environment_area) if stat is not None else None
