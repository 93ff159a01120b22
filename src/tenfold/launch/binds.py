"""Answer `bind` and `listen` of filtered tasks: all interfaces become loopback.

TensorFlow's gRPC server and torch's stores bind every interface whatever they are told. A socket
of TCP, UDP or SCTP that is to be bound so is bound to loopback instead, here, on a duplicate of
the task's descriptor, and the task is told what came of it. An address that names an interface is
bound as it stands: the program chose it. Sockets of other families are the kernel's.

    AF_INET   0.0.0.0                       127.0.0.1
    AF_INET6  ::  and  ::ffff:0.0.0.0       ::ffff:127.0.0.1, where IPv4 clients find it
    AF_INET6  ::, for IPv6 alone            ::1
    UDP       port 0                        as it stands: how resolvers and QUIC clients begin
    listen    on a TCP socket never bound   bound to loopback's next free port first

The address is read once and the bind made with that copy, so that a program cannot change it
behind the check. What cannot be looked into (a program that forbids being traced) is refused:
EACCES. A signal in the moment before a question is taken up interrupts the call like any slow one:
it begins anew, or fails with EINTR where the handler was set without SA_RESTART.

`binding` says how a task comes to ask; nothing here knows what a task is.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import sys
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext

from tenfold.base import procfs
from tenfold.launch import binding
from tenfold.launch.binding import MACHINES
from tenfold.launch.namespace import call

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_NOTICE = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp
_CONTINUE = 1

_LONGEST_ADDRESS = 128  # sizeof(struct sockaddr_storage)
_PIDFD_THREAD = os.O_EXCL  # since Linux 6.9
_MAY_BIND_LOW_PORTS = 1 << 10  # CAP_NET_BIND_SERVICE
_REMEMBERED = 64
_TRIAL_S = 10.0
_WHILE_S = 3600.0

_ANY4, _LOOPBACK4 = socket.inet_aton("0.0.0.0"), socket.inet_aton("127.0.0.1")
_ANY6, _LOOPBACK6 = bytes(16), bytes(15) + b"\1"
_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96

_done: OrderedDict[int, bytes] = OrderedDict()
"""By inode, the addresses to which the last sockets were bound.

Before Linux 5.19 a signal may interrupt a task that waits for its answer. Its call then begins
anew, and finds the socket bound already.
"""


def refusal() -> str | None:
    """Why no task's binds can be answered here, or None if they can.

    It is tried: a child filters itself and binds every interface, and this process answers. It
    forks: call it before any thread is started.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    if os.uname().machine not in MACHINES:
        return f"not written for {os.uname().machine}"
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        _try(theirs)
    theirs.close()
    try:
        with ours:
            return _answered(ours)
    finally:
        with contextlib.suppress(ChildProcessError):  # reaped already where SIGCHLD is ignored
            os.waitpid(child, 0)


def _answered(child: socket.socket) -> str | None:
    """In the parent: answer the child's bind, and check whether it worked.

    The address of the child's socket shows that.
    """
    child.settimeout(_TRIAL_S)
    said, listeners, _, _ = socket.recv_fds(child, 1024, 1)
    if not listeners:
        return said.decode()
    try:
        answer(listeners[0], _TRIAL_S)
        outcome = child.recv(1024).decode()
    except TimeoutError:
        outcome = "no answer reached a bind"
    finally:
        os.close(listeners[0])
    return None if outcome == "127.0.0.1" else outcome


def _try(parent: socket.socket) -> None:
    try:
        listener = binding.install()
        socket.send_fds(parent, [b"\n"], [listener])
        os.close(listener)
        with socket.socket() as bound:
            bound.bind(("", 0))
            parent.sendall(bound.getsockname()[0].encode())
    except OSError as error:
        parent.sendall((error.strerror or str(error)).encode())
    finally:
        os._exit(0)


def serve(listener: int) -> None:
    """Answer until no process is left that could ask."""
    while answer(listener, _WHILE_S):
        pass


def answer(listener: int, wait_s: float = 0.0) -> bool:
    """Answer one call that waits at `listener`.

    False once no process is left that could ask.

    Without one it returns after `wait_s` seconds. Never waits for the task, nor leaves it waiting.
    """
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    events = sum(event for _, event in poll.poll(wait_s * 1000))
    if not events & select.POLLIN:
        return not events
    notice = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except (FileNotFoundError, InterruptedError):  # it was killed meanwhile; a signal of our own
        return True
    number, thread, _, system_call, _, _, *arguments = _NOTICE.unpack(notice)
    try:
        outcome = _decide(listener, number, thread, system_call, arguments)
    except OSError:
        outcome = -errno.EACCES
    reply = (number, 0, 0, _CONTINUE) if outcome is None else (number, 0, outcome, 0)
    with contextlib.suppress(OSError):  # it is gone
        fcntl.ioctl(listener, _SEND, _ANSWER.pack(*reply))
    return True


def _decide(
    listener: int, number: int, thread: int, system_call: int, arguments: list[int]
) -> int | None:
    """The answer to a call: 0 for done, a negative errno for refused, or None.

    None means that the kernel carries out the call.
    """
    machine = MACHINES[os.uname().machine]
    descriptor = _int(arguments[0])
    address = b""
    if system_call == machine.bind:
        size = _int(arguments[2])
        if not 0 < size <= _LONGEST_ADDRESS:
            return None  # EINVAL, says the kernel
        address = _read(thread, arguments[1], size)
    with _socket_of(thread, descriptor) as asked:
        fcntl.ioctl(listener, _IS_VALID, struct.pack("=Q", number))  # still the thread we looked at
        if asked is None or asked.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        if system_call == machine.bind:
            wanted = turned(asked, address)
        elif asked.type == socket.SOCK_STREAM and asked.getsockname()[1] == 0:
            wanted = turned(asked, _any(asked))
        else:
            return None
        bound = _bind(thread, asked, wanted)
    return None if bound == 0 and system_call == machine.listen else bound


def _int(register: int) -> int:
    """The part of a register that the kernel uses for an int argument."""
    return ctypes.c_int(register & 0xFFFFFFFF).value


def turned(asked: socket.socket, address: bytes) -> bytes:
    """The sockaddr that `asked` is bound to when a task wants `address`."""
    family, port, rest = address[:2], address[2:4], address[4:]
    if asked.type == socket.SOCK_RAW or (asked.type == socket.SOCK_DGRAM and port == b"\0\0"):
        return address
    if asked.family == socket.AF_INET:
        # Linux takes AF_UNSPEC for AF_INET here, if the address is 0.0.0.0 (net/ipv4/af_inet.c)
        known = struct.unpack("=H", family)[0] in (socket.AF_INET, socket.AF_UNSPEC)
        return family + port + _LOOPBACK4 + rest[4:] if known and rest[:4] == _ANY4 else address
    flow, host, scope = rest[:4], rest[4:20], rest[20:]
    if host == _ANY6 and asked.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        return family + port + flow + _LOOPBACK6 + scope
    if host in (_ANY6, _MAPPED + _ANY4):
        return family + port + flow + _MAPPED + _LOOPBACK4 + scope
    return address


def _any(asked: socket.socket) -> bytes:
    """All interfaces and any port: the default of `listen` for an unbound socket."""
    size = 16 if asked.family == socket.AF_INET else 28  # sizeof sockaddr_in, sockaddr_in6
    return struct.pack("=H", asked.family) + bytes(size - 2)


def _bind(thread: int, asked: socket.socket, wanted: bytes) -> int:
    """Bind for the task, with the task's rights only.

    Returns 0 or a negative errno.
    """
    port = int.from_bytes(wanted[2:4], "big")
    if 0 < port < _first_open_port() and not _capabilities(thread) & _MAY_BIND_LOW_PORTS:
        return -errno.EACCES
    inode = os.fstat(asked.fileno()).st_ino
    try:
        call("bind", asked.fileno(), wanted, len(wanted))
    except OSError as error:
        again = error.errno == errno.EINVAL and _done.get(inode) == wanted
        return 0 if again else -(error.errno or errno.EACCES)
    _done[inode] = wanted
    if len(_done) > _REMEMBERED:
        _done.popitem(last=False)
    return 0


def _socket_of(thread: int, descriptor: int) -> AbstractContextManager[socket.socket | None]:
    """A duplicate of a thread's descriptor, or None if that is not a socket.

    Raises OSError.
    """
    machine = MACHINES[os.uname().machine]
    try:
        process = call("syscall", machine.pidfd_open, thread, _PIDFD_THREAD)
    except OSError:
        process = os.pidfd_open(_process_of(thread))
    try:
        copied = call("syscall", machine.pidfd_getfd, process, descriptor, 0)
    except OSError as error:
        if error.errno == errno.EBADF:
            return nullcontext()
        raise
    finally:
        os.close(process)
    try:
        return socket.socket(fileno=copied)
    except OSError:
        os.close(copied)
        return nullcontext()


def _read(thread: int, place: int, size: int) -> bytes:
    """Bytes of a thread's memory. Raises OSError."""
    memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(memory, size, place)
    finally:
        os.close(memory)


def _status(thread: int) -> dict[str, str]:
    """Raises OSError if the thread has ended."""
    fields = procfs.read_status(thread)
    if fields is None:
        raise ProcessLookupError(thread)
    return fields


def _process_of(thread: int) -> int:
    return int(_status(thread)["Tgid"])


def _capabilities(thread: int) -> int:
    return int(_status(thread)["CapEff"], 16)


def _first_open_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as stream:
            return int(stream.read())
    except OSError:
        return 1024
