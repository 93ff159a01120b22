"""A process that has imported the framework and forks Python tasks.

Tasks then need no start of an interpreter.

Importing TensorFlow takes seconds and hundreds of megabytes; a fork of a process that has done it
takes milliseconds, and shares the memory. There is one such process for each set of interpreter,
options, modules and environment that an import may depend on (`preloads`).

It is started by the run's launch server, or the gate, as `INTERPRETER OPTIONS -c BOOT HOME MODULES
REQUESTS REGISTRY NAMESPACE FILES`, in the network that its tasks will be in: the directory that
holds the package tenfold (the interpreter may be another one, without it), the modules by comma,
the descriptors to serve on and to hand its forks over to the launch server (`birth`), and what
`Confinement` says. Its first notice is `hello` {pid, modules}, or `hello` {error} before it gives
up. Owns the import and the fork; what a forked process does to be a fresh one is `script`'s. Its
tasks are the launch server's: they outlive it. All signals are blocked in it.

A fork has only the thread that forked. Modules whose import starts threads that something waits
for later are therefore refused; TensorFlow starts none until it is first used.
"""

from __future__ import annotations

import _imp
import contextlib
import ctypes
import gc
import importlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from tenfold.cluster.programs import python_command
from tenfold.launch import signals, wire
from tenfold.launch.birth import Confinement, Forker, enter_task
from tenfold.launch.script import Script, show_as

BOOT = (
    "import sys; begun = [*sys.modules]; sys.path[: sys.path[:1] == ['']] = [sys.argv[1]]; "
    "from tenfold.launch.preload import main; main(begun)()"
)
"""The code with which the interpreter is started.

`main` returns in each forked process, to run its task with nothing of this module below it on the
stack. The working directory, which `-c` puts first on the module path, is replaced by the directory
that holds the package tenfold.
"""


class Forked(BaseException):
    """Raised in a forked process to leave the server's loop."""

    def __init__(self, script: Script) -> None:
        self.script = script


class PreloadServer(Forker):
    """Starts Python tasks by fork alone.

    `changes` are what the import did to the environment.
    """

    def __init__(
        self,
        requests: socket.socket,
        registry: socket.socket,
        confinement: Confinement,
        changes: Changes,
    ) -> None:
        super().__init__(requests, registry, confinement)
        self._changes = changes

    def _become(
        self,
        message: wire.Message,
        descriptors: list[int],
        report: socket.socket,
        registry: list[socket.socket],
    ) -> None:
        del registry
        try:
            enter_task(message, descriptors, self._confinement, report)
        except OSError as error:
            report.sendall(os.fsencode(str(error)))
            os._exit(127)
        for descriptor in descriptors:
            os.close(descriptor)
        report.close()
        argv = tuple(message["argv"])
        command = python_command(argv)
        assert command is not None
        raise Forked(Script(command, argv, changed(message["env"], self._changes)))


Changes = Mapping[str, tuple[str | None, str]]
"""Variable → its values before and after the import. None for unset."""


def changed(environment: Mapping[str, str], changes: Changes) -> dict[str, str]:
    """A task's environment with what an import of its own would have done to it."""
    made = dict(environment)
    for name, (before, after) in changes.items():
        if made.get(name) == before:
            made[name] = after
    return made


def main(begun: Sequence[str]) -> Script:
    """Import modules, then serve. Returns in a forked process only.

    See the module's docstring.

    `begun` are the modules that the interpreter itself has imported.
    """
    home, modules, *numbers, files = sys.argv[1:]
    requests, registry, in_namespace = map(int, numbers)
    for descriptor in (requests, registry):
        os.set_inheritable(descriptor, False)
    confinement = Confinement(bool(in_namespace), None if files == "None" else int(files))
    connection = socket.socket(fileno=requests)
    names = modules.split(",")
    before = dict(os.environ)
    try:
        _import(names, home)
    except BaseException as error:
        words = str(error).partition("\n")[0]
        wire.send(connection, {"op": "hello", "error": f"{type(error).__name__}: {words}"})
        traceback.print_exc()
        _flush()
        os._exit(1)  # at once: a thread that the import has started might never end
    changes = {
        name: (before.get(name), after)
        for name, after in os.environ.items()
        if before.get(name) != after
    }
    show_as([sys.executable, "(tenfold: has imported", *names, "and forks)"])
    _flush()
    modules_here = _replaceable(begun)
    signals.block_all()  # whom it forks could send it those of faults
    wire.send(connection, {"op": "hello", "pid": os.getpid(), "modules": modules_here})
    server = PreloadServer(connection, socket.socket(fileno=registry), confinement, changes)
    try:
        server.serve()
    except Forked as forked:
        return forked.script
    os._exit(0)


def _import(names: Sequence[str], home: str) -> None:
    """Import with the module path of the interpreter alone.

    Nothing of ours is left in that path.
    """
    gc.disable()  # an import makes no garbage worth looking for; it takes a fifth less time
    del sys.path[0]
    if home not in sys.path:
        for name in [name for name in sys.modules if name.partition(".")[0] == "tenfold"]:
            del sys.modules[name]
    for name in names:
        optional = name.partition(".")[0] == "tenfold" and home not in sys.path
        with contextlib.suppress(ImportError) if optional else contextlib.nullcontext():
            importlib.import_module(name)  # `python -I` does not find the library of the run
    with contextlib.suppress(ImportError):
        importlib.import_module("tenfold.tasks.member")  # most tasks ask who they are
    if threads := _lost_by_a_fork():
        raise RuntimeError(f"threads were started that a fork would not have: {threads}")
    gc.freeze()


def _replaceable(begun: Sequence[str]) -> list[str]:
    """Imported top-level modules that a script of the same name would replace.

    Not those that every interpreter has when its program begins, nor what is built in or frozen:
    Python looks for these elsewhere, and first.
    """
    started = {name.partition(".")[0] for name in begun}
    found = {name.partition(".")[0] for name in sys.modules} - started
    own = {*sys.builtin_module_names, "__main__", "__mp_main__"}
    return sorted(name for name in found - own if not _imp.is_frozen(name))


def _flush() -> None:
    """Write out what an import has printed, C's buffers included.

    Otherwise each task would repeat it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


_DISPENSABLE = frozenset({"jemalloc_bg_thd"})


def _lost_by_a_fork() -> str:
    """Names of threads that a fork would lose and that something needs.

    Python's own count, and so do those that a library has named, as TensorFlow's runtime does.
    OpenBLAS and OpenMP name none; theirs come back when they are needed after a fork. jemalloc's
    (pyarrow brings it, pandas and TensorBoard bring pyarrow) has a name, but a child does well
    without: jemalloc's own handlers of a fork switch it off there, and memory is then given back
    by whoever frees it.
    """
    names = {thread.name for thread in threading.enumerate()}
    with contextlib.suppress(OSError):
        own = Path("/proc/self/comm").read_text()
        comms = {(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()}
        names |= {comm.strip() for comm in comms - {own}}
    return ", ".join(sorted(names - {threading.main_thread().name} - _DISPENSABLE))
