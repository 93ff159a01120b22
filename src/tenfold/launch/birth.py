"""How a task's process begins, and how the launch server becomes its parent.

This is the same for every process that forks tasks.

Tasks are forked by the launch server itself, by preload servers, which have imported the framework
(`preload`), and by the gate, which is in the machine's network (`server`). The launch server is the
parent of all of them: whoever else forks does it twice, the process in between ends at once, and
the kernel gives its child to the launch server, which adopts orphans. So a task's parent is never
a process that the task could end, and no task ends with what it was forked from.

A forker hands the launch server the socket on which the new process reports; the process waits
until the launch server has it. Owns enter_task, the fork and that handing over. Leaves to others:
what becomes of a task afterwards (`tasks`).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from tenfold.launch import binding, namespace, signals, wire

_LOOK_S = 0.0002


@dataclass(frozen=True, slots=True)
class Confinement:
    """What keeps the tasks of a launch server together.

    Attributes:
        namespace: the kernel ends them with the launch server; else each task asks for that.
        files: where tasks' binds are answered, the number of files that a task may open: the
            server has a listener for each and needs more. None where binds are not answered.
    """

    namespace: bool
    files: int | None = None


def named(message: wire.Message, descriptors: Sequence[int]) -> dict[str, int]:
    """The named descriptors that came with a start, besides the standard three.

    `birth`: a socket on which the kernel tells the supervisor the process's pid; `serves`: the
    supervisor's channel to a preload server; `joins`: the `cgroup.procs` of a control group.
    """
    return dict(zip(message["with"], descriptors[3:], strict=True))


class Forker:
    """Forks tasks until the supervisor hangs up.

    The launch server becomes the parent of each task.
    """

    def __init__(
        self, requests: socket.socket, registry: socket.socket, confinement: Confinement
    ) -> None:
        """`registry` leads to the launch server."""
        self._requests = requests
        self._registry = registry
        self._confinement = confinement

    def serve(self) -> None:
        """Accept requests until there are no more."""
        while (received := wire.receive(self._requests)) is not None:
            self._spawn(*received)

    def _spawn(self, message: wire.Message, descriptors: list[int]) -> None:
        reports, theirs = socket.socketpair()
        registries = registry_for(message)
        child = 0
        try:
            child = os.fork()
            if child == 0:
                self._leave_and_fork(message, descriptors, reports, theirs, registries)
        except OSError as error:  # no more processes: that is this start's trouble
            theirs.sendall(f"\n{error.strerror}".encode())
        handed = [reports, *registries[:1]]
        with contextlib.suppress(OSError):
            announced = {"op": "adopt", "id": message["id"], "serves": bool(registries)}
            wire.send(self._registry, announced, [one.fileno() for one in handed])
        for one in (reports, theirs, *registries):
            one.close()
        for descriptor in descriptors:
            os.close(descriptor)
        if child:
            os.waitpid(child, 0)

    def _leave_and_fork(
        self,
        message: wire.Message,
        descriptors: list[int],
        reports: socket.socket,
        theirs: socket.socket,
        registries: list[socket.socket],
    ) -> None:
        """In the intermediate process: fork the task's process.

        The task's process waits until the intermediate one has ended.
        """
        for ours in (self._requests, self._registry, reports, *registries[:1]):
            ours.close()
        own = os.getpid()
        try:
            child = os.fork()
        except OSError as error:
            theirs.sendall(f"\n{error.strerror}".encode())
            os._exit(1)
        if child:
            os._exit(0)
        while os.getppid() == own:
            time.sleep(_LOOK_S)
        self._become(message, descriptors, theirs, registries[1:])

    def _become(
        self,
        message: wire.Message,
        descriptors: list[int],
        report: socket.socket,
        registry: list[socket.socket],
    ) -> None:
        """In the task's process: become the task."""
        become(message, descriptors, self._confinement, report, registry)


def registry_for(message: wire.Message) -> list[socket.socket]:
    """For a preload server, both ends of its channel to the launch server.

    The launch server's end comes first.
    """
    return [*socket.socketpair()] if message["op"] == "preload" else []


def become(
    message: wire.Message,
    descriptors: list[int],
    confinement: Confinement,
    report: socket.socket,
    registry: list[socket.socket],
) -> NoReturn:
    """Execute the task's command.

    If that is impossible, the reason is written to `report`.
    """
    argv = [*message["argv"]]
    try:
        enter_task(message, descriptors, confinement, report)
        if message["op"] == "preload":
            kept = (named(message, descriptors)["serves"], registry[0].fileno())
            for descriptor in kept:
                os.set_inheritable(descriptor, True)
            argv += map(str, (*kept, int(confinement.namespace), confinement.files))
            signals.before_exec_of_ours()
        else:
            signals.before_exec()
        os.execvpe(argv[0], argv, message["env"])
    except OSError as error:
        report.sendall(os.fsencode(f"{argv[0]}: {error.strerror}"))
    finally:
        os._exit(127)


def enter_task(
    message: wire.Message,
    descriptors: list[int],
    confinement: Confinement,
    report: socket.socket,
) -> None:
    """In the task's process: a session, a filter, stdio and a directory of its own.

    Reports its pid, and with it the filter's listener, and goes on when the launch server has
    taken note. A server that is to fork tasks gets no filter: its tasks do. Ends the process if
    the launch server is gone, or the directory cannot be entered, which `report` is told.
    """
    extra = named(message, descriptors)
    os.setsid()
    if "joins" in extra:
        os.write(extra["joins"], b"0")
    if "birth" in extra:
        os.write(extra["birth"], b".")  # the kernel adds the pid, as the supervisor counts
    listeners = []
    if confinement.files is not None and message["op"] == "spawn":
        limit_files(confinement.files)
        if message["network"] == "cluster":
            listeners.append(binding.install())
    socket.send_fds(report, [f"{os.getpid()}\n".encode()], listeners)
    for listener in listeners:
        os.close(listener)
    if not report.recv(1):
        os._exit(127)
    if not confinement.namespace:
        namespace.die_with_parent(signal.SIGKILL)
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target, inheritable=True)
    signal.set_wakeup_fd(-1)
    try:
        os.chdir(message["cwd"])
    except OSError as error:
        report.sendall(os.fsencode(f"cannot enter {message['cwd']}: {error.strerror}"))
        os._exit(127)


def limit_files(soft: int) -> None:
    """Allow this process that many open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
