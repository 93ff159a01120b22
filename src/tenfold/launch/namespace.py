"""A run's own namespaces, through Linux calls that Python 3.11 does not have.

Owns unshare, setns, prctl and the mounts; nothing here knows what a task is. Every function
raises OSError with the kernel's errno. On other systems `refusal` says why there is none.

Facts (Linux man pages user_namespaces(7), pid_namespaces(7), prctl(2)): unshare(CLONE_NEWPID)
moves the caller's *children*, the first of which is the namespace's init; when that one dies the
kernel kills all others. setns(CLONE_NEWNET) needs CAP_SYS_ADMIN in the user namespace that owns
the network, and in one's own: a process that never left the host's network cannot come back to
it, so the process that starts tasks stays outside and each task enters after its fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import socket
import struct
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MNT_DETACH = 1, 32, 0x1000, 2
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library. Raises OSError if it returns -1."""
    result = int(getattr(_libc(), name)(*arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def enter_new_pid_namespace() -> None:
    """Create a PID and mount namespace for this process's next child.

    The child is the first process of it.

    The superuser needs no user namespace for that and keeps the rights of its uid; anybody else
    gets one in which only the own uid and gid exist.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):
            call("unshare", CLONE_NEWPID | CLONE_NEWNS)
            return
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)


def enter_new_network() -> None:
    """Leave this process's network for a new one.

    It has nothing but loopback, and that is up.
    """
    call("unshare", CLONE_NEWNET)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def join(descriptor: int, kind: int) -> None:
    """Enter the namespace of an open /proc/PID/ns/… file.

    `kind` is its CLONE_ constant.
    """
    call("setns", descriptor, kind)


def keep_mounts_apart() -> None:
    """Hide the mounts of this process's namespace from all others.

    Call it before any mount.
    """
    call("mount", None, b"/", None, _MS_REC_PRIVATE, None)


def mount_own_proc() -> None:
    """Show this PID namespace in /proc, if the kernel allows it.

    It refuses in containers that mask parts of /proc. Tasks then see the host's processes, and
    cannot signal them.
    """
    with contextlib.suppress(OSError):
        keep_mounts_apart()
        call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID_NODEV_NOEXEC, None)


def mount_over(path: str, data: bytes, place: str = "/tmp") -> None:
    """Show `data`, read-only, in place of the file `path`.

    Only this mount namespace shows it.

    The data is in memory: `place`, a directory, lends its name to a file system that is there for
    the moment of the mount. Call it before any process that uses `place` is started.
    """
    keep_mounts_apart()
    flags = _MS_NOSUID_NODEV_NOEXEC
    call("mount", b"tmpfs", os.fsencode(place), b"tmpfs", flags, b"size=2m,mode=700")
    try:
        made = f"{place}/file"
        with open(made, "xb") as stream:
            os.fchmod(stream.fileno(), 0o444)
            stream.write(data)
        over = os.fsencode(path)
        call("mount", os.fsencode(made), over, None, _MS_BIND, None)
        call("mount", None, over, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | flags, None)
    finally:
        call("umount2", os.fsencode(place), _MNT_DETACH)


def die_with_parent(signal_number: int) -> None:
    """Get `signal_number` when the *thread* that forked this process ends. Linux only."""
    if sys.platform == "linux":
        call("prctl", _PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies. Linux only."""
    if sys.platform == "linux":
        call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def refusal() -> str | None:
    """Why this machine gives a run no namespaces, or None if it does.

    It is tried, in a child that ends at once: settings that forbid it are many (AppArmor,
    seccomp, sysctl), and the only sure sign is the call.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no namespaces"
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _try_all(write)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as stream:
        said = stream.read()
    with contextlib.suppress(ChildProcessError):  # reaped already where SIGCHLD is ignored
        os.waitpid(child, 0)
    return said or None


def _try_all(report: int) -> None:
    try:
        enter_new_pid_namespace()
        enter_new_network()
    except OSError as error:
        os.write(report, (error.strerror or str(error)).encode())
    finally:
        os._exit(0)
