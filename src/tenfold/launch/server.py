"""The launch server: the process that every task of a local run is a child of.

It forks tasks, reaps them and their orphans, and tells the supervisor every true exit over a
socket. Where the machine allows, it is the first process of the run's PID namespace, so that the
kernel ends whatever a task left behind when this process ends; where not, it adopts orphans and
ends them itself. It outlives its supervisor by no more than it takes to notice.

    supervisor ─── gate (owns the run's network, hands out sockets in it)
         └──────── launch server (first of the PID namespace) ── tasks
                        └── preload (has imported the framework) ── Python tasks

`python -m tenfold.launch.server REQUESTS GATE ISOLATION`: two inherited socket descriptors, and
`namespace`, `seccomp` or `none`. With `seccomp` each server answers the binds of the tasks that it
forked (`binds`), those for the machine's network excepted. It imports little, since every run
waits for it.

Requests: `spawn` {id, argv, env, cwd, network} with descriptors for stdin, stdout and stderr, and,
where `joins` is true, a last one for the control group that the task is to be in;
`preload`, the same with a fourth: the socket of a launch server that `argv` will be (`preload`);
`signal` {id, signal}. Notices: `hello` {pid}; `started` {id, pid}; `failed` {id, error};
`exited` {id, status}, with the status as waitpid gives it. Pids are those of the supervisor's
own namespace.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass

from tenfold.launch import binding, binds, hosts, namespace, wire
from tenfold.launch.signals import signal_group

MARK = "TENFOLD_SPAWN"
"""Variable that tells which start of which task a process descends from."""

_LAST_SWEEPS = 50

_OTHER_IN_PYTHON = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ)
"""Signals that this process, or Python itself, has set another way than programs expect."""


@dataclass(slots=True)
class Places:
    """What a task's child process needs to find its way: descriptors kept open here.

    Attributes:
        host_proc: the /proc in which the supervisor counts pids.
        network: the run's network namespace, for the server to enter for a task; None where
            tasks are to stay in the server's, and to end with it.
        files: where this server answers its tasks' binds, the number of files that a task may
            open: a server has a listener for each and needs more. None where it does not.
    """

    host_proc: int | None
    network: int | None
    files: int | None = None

    def handed_on(self, requests: int) -> list[str]:
        """Arguments for a launch server that serves on the socket `requests`, and stays here."""
        for descriptor in (requests, self.host_proc):
            if descriptor is not None:
                os.set_inheritable(descriptor, True)
        return [str(requests), str(self.host_proc), str(self.files)]


class LaunchServer:
    """Serves one supervisor until its socket closes. Starts every task by fork and exec."""

    def __init__(self, requests: socket.socket, places: Places) -> None:
        self._requests = requests
        self._places = places
        self._tasks: dict[int, str] = {}
        self._listeners: set[int] = set()
        self._outbox = bytearray()
        self._selector = selectors.DefaultSelector()
        self._wakeup_read, wakeup_write = socket.socketpair()
        self._wakeup_read.setblocking(False)
        wakeup_write.setblocking(False)
        self._wakeup_write = wakeup_write

    def serve(self) -> None:
        """Work until the supervisor is gone."""
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._requests, selectors.EVENT_READ)
        self._selector.register(self._wakeup_read, selectors.EVENT_READ)
        while True:
            for key, events in self._selector.select():
                if key.fileobj is self._wakeup_read:
                    with contextlib.suppress(BlockingIOError):
                        self._wakeup_read.recv(4096)
                elif isinstance(key.fileobj, int):
                    self._answer(key.fileobj)
                elif events & selectors.EVENT_READ and not self._handle_request():
                    return
            self._flush()
            self._reap()

    def _answer(self, listener: int) -> None:
        if not binds.answer(listener):
            self._selector.unregister(listener)
            self._listeners.remove(listener)
            os.close(listener)

    def leave(self) -> None:
        """In a forked process that will be something else: give up what the server holds."""
        self._selector.close()
        for listener in self._listeners:
            os.close(listener)
        for ours in (self._requests, self._wakeup_read, self._wakeup_write):
            ours.close()
        for descriptor in (self._places.host_proc, self._places.network):
            if descriptor is not None:
                os.close(descriptor)

    def _handle_request(self) -> bool:
        received = wire.receive(self._requests)
        if received is None:
            return False
        message, descriptors = received
        if message["op"] == "signal":
            self._signal(message["id"], message["signal"])
        else:
            self._spawn(message, descriptors)
        return True

    def _tell(self, **message: object) -> None:
        self._outbox += wire.packed(message)
        self._flush()

    def _flush(self) -> None:
        """Send what the supervisor takes now, and go on reading: it may be sending to us."""
        try:
            while self._outbox:
                del self._outbox[: self._requests.send(self._outbox, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self._outbox.clear()  # the supervisor is gone; the next read says so
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        if self._selector.get_key(self._requests).events != wanted:
            self._selector.modify(self._requests, wanted)

    def _spawn(self, message: wire.Message, descriptors: list[int]) -> None:
        try:
            pid, reports = self._fork(message, descriptors)
        except OSError as caught:  # no more processes or descriptors: that is this start's trouble
            for descriptor in descriptors:
                os.close(descriptor)
            self._tell(op="failed", id=message["id"], error=caught.strerror)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        text, listeners = _heard(reports)
        host_pid, _, error = text.partition(b"\n")
        if error or not host_pid.isdigit():  # without a number it failed before it had one
            for listener in listeners:
                os.close(listener)
            os.waitpid(pid, 0)
            words = (error or text).decode(errors="replace")
            self._tell(op="failed", id=message["id"], error=words)
            return
        for listener in listeners:
            self._listeners.add(listener)
            self._selector.register(listener, selectors.EVENT_READ)
        self._tasks[pid] = message["id"]
        self._tell(op="started", id=message["id"], pid=int(host_pid))

    def _fork(self, message: wire.Message, descriptors: list[int]) -> tuple[int, socket.socket]:
        """A child that becomes the task: its pid, and where it reports. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                raise
            if pid == 0:
                ours.close()
                self._become(message, descriptors, theirs.detach())
        return pid, ours

    def _become(self, message: wire.Message, descriptors: list[int], report: int) -> None:
        """In the child: be the task. What is written to `report` says why it can't be."""
        argv = [*message["argv"]]
        try:
            enter_task(message, descriptors, self._places, report)
            if message["op"] == "preload":
                argv += self._places.handed_on(descriptors[3])
            for number in _OTHER_IN_PYTHON:
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(argv[0], argv, message["env"])
        except OSError as error:
            os.write(report, os.fsencode(f"{argv[0]}: {error.strerror}"))
        finally:
            os._exit(127)

    def _signal(self, name: str, number: int) -> None:
        for pid, known in self._tasks.items():
            if known == name:
                signal_group(pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._tasks.pop(pid, None)
            if name is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                self._tell(op="exited", id=name, status=status)
            self._end_orphans()

    def _end_orphans(self) -> None:
        """Kill adopted processes whose task is over; those of a living task may stay."""
        living = set(self._tasks.values())
        for pid in _children():
            if pid not in self._tasks:
                mark = _mark(pid)
                if mark is not None and mark not in living:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)

    def end_everything(self) -> None:
        """Kill all children, and what is adopted from them, until none is left."""
        for _ in range(_LAST_SWEEPS):
            children = set(_children()) | set(self._tasks)
            for pid in children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            if not _children() and not self._tasks:
                return
            time.sleep(0.02)


def _heard(reports: socket.socket) -> tuple[bytes, list[int]]:
    """All that a child reports until it is the task, and the listener it may have sent."""
    text, listeners = bytearray(), []
    with reports:
        while True:
            piece, sent, _, _ = socket.recv_fds(reports, 4096, 1)
            for listener in sent:
                os.set_inheritable(listener, False)
            listeners += sent
            if not piece:
                return bytes(text), listeners
            text += piece


def _children() -> list[int]:
    """This process's children, adopted ones too; empty where the kernel does not say."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", "rb") as stream:
            return [int(pid) for pid in stream.read().split()]
    except OSError:
        return []


def _mark(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            environment = stream.read()
    except OSError:
        return None
    wanted = f"{MARK}=".encode()
    marks = [entry for entry in environment.split(b"\0") if entry.startswith(wanted)]
    return marks[0][len(wanted) :].decode(errors="replace") if marks else None


def enter_task(message: wire.Message, descriptors: list[int], places: Places, report: int) -> None:
    """In the child: a session, a network or filter, stdio and a directory of the task's own.

    The supervisor's number of this process is written to `report`, a socket, and with it goes the
    filter's listener. A server that is to fork tasks gets none: its tasks do. Ends the process if
    the directory cannot be entered, which `report` is told.
    """
    os.setsid()
    if message.get("joins"):  # the `cgroup.procs` of a group of its own, see `memory`
        os.write(descriptors[-1], b"0")
    if places.host_proc is None:
        own = str(os.getpid())
    else:
        own = os.readlink("self", dir_fd=places.host_proc)
    listeners = []
    if places.files is not None and message["op"] == "spawn":
        _limit_files(places.files)
        if message["network"] == "cluster":
            listeners.append(binding.install())
    with socket.socket(fileno=os.dup(report)) as reports:
        socket.send_fds(reports, [own.encode() + b"\n"], listeners)
    for listener in listeners:
        os.close(listener)
    if places.network is None:
        namespace.die_with_parent(signal.SIGKILL)
    elif message["network"] == "cluster":
        namespace.join(places.network, namespace.CLONE_NEWNET)
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target, inheritable=True)
    signal.set_wakeup_fd(-1)
    try:
        os.chdir(message["cwd"])
    except OSError as error:
        os.write(report, os.fsencode(f"cannot enter {message['cwd']}: {error.strerror}"))
        os._exit(127)


def _limit_files(soft: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _serve_namespace(requests: socket.socket, gate: socket.socket) -> None:
    """Split into the launch server, first of its PID namespace, and this process, the gate."""
    host_proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    namespace.enter_new_pid_namespace()
    ours, theirs = socket.socketpair()
    first = os.fork()
    if first == 0:
        namespace.die_with_parent(signal.SIGKILL)
        ours.close()
        gate.close()
        _serve_as_first(requests, theirs, host_proc)
        os._exit(0)
    requests.close()
    theirs.close()
    namespace.enter_new_network()
    network = os.open("/proc/self/ns/net", os.O_RDONLY)
    wire.send(ours, {"op": "network"}, [network])
    os.close(network)
    _serve_gate(gate)
    os.waitpid(first, 0)  # not before everything in its PID namespace is gone


def _serve_as_first(requests: socket.socket, gate: socket.socket, host_proc: int) -> None:
    received = wire.receive(gate)
    if received is None:
        return
    own = int(os.readlink("self", dir_fd=host_proc))
    namespace.mount_own_proc()
    hosts.complete()
    places = Places(host_proc, received[1][0])
    wire.send(requests, {"op": "hello", "pid": own})
    LaunchServer(requests, places).serve()


def _serve_gate(gate: socket.socket) -> None:
    """Hand out sockets of the run's network, TCP or sock_diag, until the supervisor is gone."""
    while (received := wire.receive(gate)) is not None:
        op = received[0]["op"]
        try:
            with _diagnosis_socket() if op == "diagnosis" else socket.socket() as made:
                wire.send(gate, {"op": op}, [made.fileno()])
        except OSError as error:  # no netlink here, or too many files
            wire.send(gate, {"op": "failed", "error": str(error)})


def _diagnosis_socket() -> socket.socket:
    from tenfold.traffic.sockets import diagnosis_socket  # not before the tasks have begun

    return diagnosis_socket()


def _serve_plainly(requests: socket.socket, filtered: bool) -> None:
    namespace.adopt_orphans()
    wire.send(requests, {"op": "hello", "pid": os.getpid()})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if filtered:
        _limit_files(hard)
    server = LaunchServer(requests, Places(None, None, soft if filtered else None))
    server.serve()
    server.end_everything()


def main(arguments: list[str]) -> None:
    """Run the launch server; see the module's own words for the arguments."""
    requests = socket.socket(fileno=int(arguments[0]))
    gate = socket.socket(fileno=int(arguments[1]))
    for inherited in (requests, gate):
        inherited.set_inheritable(False)
    if arguments[2] == "namespace":
        namespace.die_with_parent(signal.SIGKILL)
        _serve_namespace(requests, gate)
    else:
        gate.close()
        _serve_plainly(requests, filtered=arguments[2] == "seccomp")


if __name__ == "__main__":
    main(sys.argv[1:])
