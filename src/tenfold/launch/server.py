"""The launch server: the process that every task of a local run is a child of.

It forks tasks, adopts those that others have forked for it, reaps them and their orphans, and tells
the supervisor every true exit over a socket. Where the machine allows, it is the first process of
the run's PID namespace, so that the kernel ends whatever a task left behind when this process ends;
where not, it adopts orphans and ends them itself. It outlives its supervisor by no more than it
takes to notice.

    supervisor ─── gate (in the machine's network; forks the tasks that want it)
         └──────── launch server (first of the PID namespace, in the run's network) ── all tasks
                        └── preload (has imported the framework; forks Python tasks)

What a task of the superuser could do with the launch server (enter its namespaces, copy its
descriptors with pidfd_getfd(2)) does not lead out: it is in the run's own network, and holds
nothing of the machine's. All three block every signal; only SIGCHLD reaches the launch server.

`python -m tenfold.launch.server REQUESTS SOCKETS OUTSIDE ISOLATION`: three inherited socket
descriptors, and `namespace`, `seccomp` or `none`. REQUESTS and SOCKETS are the launch server's,
OUTSIDE is the gate's. With `seccomp` the launch server answers the binds of the tasks (`binds`),
those for the machine's network excepted. It imports little, since every run waits for it.

Requests: `spawn` {id, argv, env, cwd, network, with} with descriptors for stdin, stdout, stderr and
those that `with` names (`birth.named`); `preload`, the same for a forker that `argv` will be
(`preload`); `signal` {id, signal}. Both of the first may be asked of any forker; the launch server
answers. Notices: `hello` {pid}; `started` {id, pid}; `failed` {id, error}; `left` {id, status}: the
task's own process has ended, others of it have not; `exited` {id, status}: all have. The status is
as waitpid gives it; pids are those that the launch server sees. SOCKETS gives new sockets of the
run's network: `socket` is TCP, `diagnosis` sock_diag.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import selectors
import signal
import socket
import sys
import time

from tenfold.launch import binds, hosts, namespace, signals, wire
from tenfold.launch.birth import Confinement, Forker, become, limit_files, registry_for
from tenfold.launch.tasks import Tasks

_LAST_SWEEPS = 50
_SWEEP_S = 0.02
_LOOK_S = 0.1
"""Seconds between two searches for processes that a task's own left behind.

They are searched for because not all of them are children.
"""

_HELD_UP_S = 1.0


class LaunchServer:
    """Serves one supervisor until its socket closes. Parent of every task."""

    def __init__(
        self, requests: socket.socket, confinement: Confinement, sockets: socket.socket | None
    ) -> None:
        self._requests = requests
        self._confinement = confinement
        self._sockets = sockets
        self._tasks = Tasks(self._tell, self._drain)
        self._registries: dict[socket.socket, str] = {}
        self._listeners: set[int] = set()
        self._outbox = bytearray()
        self._selector = selectors.DefaultSelector()
        self._wakeup_read, wakeup_write = socket.socketpair()
        self._wakeup_read.setblocking(False)
        wakeup_write.setblocking(False)
        self._wakeup_write = wakeup_write

    def adopt_from(self, registry: socket.socket, forker: str) -> None:
        """Take over the tasks that the forker at the other end of `registry` forks."""
        self._registries[registry] = forker
        self._selector.register(registry, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the supervisor is gone."""
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for read in (self._requests, self._wakeup_read, self._sockets):
            if read is not None:
                self._selector.register(read, selectors.EVENT_READ)
        wire.send(self._requests, {"op": "hello", "pid": os.getpid()})
        while True:
            for key, events in self._selector.select(_LOOK_S if self._tasks.lingering else None):
                if events & selectors.EVENT_READ and not self._handle(key.fileobj):
                    return
            self._flush()
            self._tasks.reap()

    def _handle(self, source: object) -> bool:
        """Handle a message. False if the supervisor is gone."""
        if source is self._requests:
            return self._handle_request()
        if source is self._sockets:
            self._hand_out_socket()
        elif isinstance(source, int):
            self._answer(source)
        elif source is self._wakeup_read:
            with contextlib.suppress(BlockingIOError):
                self._wakeup_read.recv(4096)
        elif isinstance(source, socket.socket) and source in self._registries:
            self._adopt(source)
        return True

    def _answer(self, listener: int) -> None:
        if not binds.answer(listener):
            self._selector.unregister(listener)
            self._listeners.remove(listener)
            os.close(listener)

    def _handle_request(self) -> bool:
        received = wire.receive(self._requests)
        if received is None:
            return False
        message, descriptors = received
        if message["op"] == "signal":
            self._tasks.signal(message["id"], message["signal"])
        else:
            self._spawn(message, descriptors)
        return True

    def _tell(self, **message: object) -> None:
        self._outbox += wire.packed(message)
        self._flush()

    def _flush(self) -> None:
        """Send what the supervisor accepts now, and continue to read.

        The supervisor may be sending to us.
        """
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
            reports, theirs = socket.socketpair()
            with theirs:
                registries = registry_for(message)
                if os.fork() == 0:
                    become(message, descriptors, self._confinement, theirs, registries[1:])
        except OSError as caught:  # no more processes or descriptors: that is this start's trouble
            self._tell(op="failed", id=message["id"], error=caught.strerror)
            return
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        for one in registries[1:]:
            one.close()
        self._begin(message["id"], reports, registries[:1])

    def _begin(self, name: str, reports: socket.socket, registries: list[socket.socket]) -> None:
        """Wait until a process has become the task, or reports why it cannot."""
        with reports:
            text, listeners = _heard(reports)
        number, _, error = text.partition(b"\n")
        if error or not number.isdigit():  # without a number it failed before it had one
            for listener in listeners:
                os.close(listener)
            for registry in registries:
                registry.close()
            words = (error or text).decode(errors="replace")
            self._tell(op="failed", id=name, error=words or "it was killed before it started")
            return
        for listener in listeners:
            self._listeners.add(listener)
            self._selector.register(listener, selectors.EVENT_READ)
        for registry in registries:
            self.adopt_from(registry, name)
        self._tasks.add(int(number), name, serves=bool(registries))
        self._tell(op="started", id=name, pid=int(number))

    def _adopt(self, registry: socket.socket) -> bool:
        """Adopt a process that a forker has forked. False if the forker is gone."""
        received = wire.receive(registry)
        if received is None:
            self._selector.unregister(registry)
            del self._registries[registry]
            registry.close()
            return False
        message, descriptors = received
        reports, *registries = [socket.socket(fileno=one) for one in descriptors]
        self._begin(message["id"], reports, registries)
        return True

    def _drain(self, forker: str) -> None:
        """Adopt all processes that a forker forked before it ended."""
        for registry in [one for one, name in self._registries.items() if name == forker]:
            while select.select([registry], [], [], 0)[0] and self._adopt(registry):
                pass

    def _hand_out_socket(self) -> None:
        """A socket of the run's network, TCP or sock_diag, for the supervisor."""
        assert self._sockets is not None
        received = wire.receive(self._sockets)
        if received is None:
            self._selector.unregister(self._sockets)
            return
        op = received[0]["op"]
        with contextlib.suppress(ConnectionError):
            try:
                with _diagnosis_socket() if op == "diagnosis" else socket.socket() as made:
                    wire.send(self._sockets, {"op": op}, [made.fileno()])
            except ConnectionError:
                raise
            except OSError as error:  # no netlink here, or too many files
                wire.send(self._sockets, {"op": "failed", "error": str(error)})

    def end_everything(self) -> None:
        """Kill all children and adopted processes until none is left."""
        for _ in range(_LAST_SWEEPS):
            if not self._tasks.kill_all():
                return
            time.sleep(_SWEEP_S)


def _heard(reports: socket.socket) -> tuple[bytes, list[int]]:
    """All reports of a process until it becomes the task, and its listener.

    The listener is missing if the process sent none.

    It goes on after its first report only when it is answered. If it was stopped meanwhile, it is
    told to go on: all other tasks wait for it here.
    """
    text, listeners = bytearray(), []
    reports.settimeout(_HELD_UP_S)
    while True:
        try:
            piece, sent, _, _ = socket.recv_fds(reports, 4096, 1)
        except TimeoutError:
            if (number := bytes(text).partition(b"\n")[0]).isdigit():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(int(number), signal.SIGCONT)
            continue
        except ConnectionError:
            piece, sent = b"", []
        for listener in sent:
            os.set_inheritable(listener, False)
        listeners += sent
        if not piece:
            return bytes(text), listeners
        if not text:
            with contextlib.suppress(OSError):
                reports.sendall(b".")
        text += piece


def _diagnosis_socket() -> socket.socket:
    from tenfold.traffic.sockets import diagnosis_socket  # not before the tasks have begun

    return diagnosis_socket()


def _serve_namespace(
    requests: socket.socket, sockets: socket.socket, outside: socket.socket
) -> None:
    """Split into the launch server and this process, the gate.

    The launch server is the first process of its PID namespace.
    """
    namespace.enter_new_pid_namespace()
    registry, theirs = socket.socketpair()
    first = os.fork()
    if first == 0:
        namespace.die_with_parent(signal.SIGKILL)
        outside.close()
        theirs.close()
        _serve_as_first(requests, sockets, registry)
        os._exit(0)
    for others in (requests, sockets, registry):
        others.close()
    Forker(outside, theirs, Confinement(namespace=True)).serve()
    os.waitpid(first, 0)  # not before everything in its PID namespace is gone


def _serve_as_first(
    requests: socket.socket, sockets: socket.socket, registry: socket.socket
) -> None:
    namespace.enter_new_network()
    namespace.mount_own_proc()
    hosts.complete()
    server = LaunchServer(requests, Confinement(namespace=True), sockets)
    server.adopt_from(registry, "gate")
    server.serve()


def _serve_plainly(requests: socket.socket, filtered: bool) -> None:
    namespace.adopt_orphans()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if filtered:
        limit_files(hard)
    confinement = Confinement(namespace=False, files=soft if filtered else None)
    server = LaunchServer(requests, confinement, None)
    server.serve()
    server.end_everything()


def main(arguments: list[str]) -> None:
    """Run the launch server. See the module's docstring for the arguments."""
    signals.start_afresh()
    signals.block_all(but=frozenset({signal.SIGCHLD}))
    inherited = [socket.socket(fileno=int(number)) for number in arguments[:3]]
    for one in inherited:
        one.set_inheritable(False)
    requests, sockets, outside = inherited
    if arguments[3] == "namespace":
        namespace.die_with_parent(signal.SIGKILL)
        _serve_namespace(requests, sockets, outside)
    else:
        sockets.close()
        outside.close()
        _serve_plainly(requests, filtered=arguments[3] == "seccomp")


if __name__ == "__main__":
    main(sys.argv[1:])
