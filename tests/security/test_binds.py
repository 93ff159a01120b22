"""Which addresses a task's sockets get where it has no network of its own."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tenfold.launch import binding, binds

BIND = """
import json, socket, sys
def bound(family, kind, host, only6=None, port=0):
    made = socket.socket(getattr(socket, family), getattr(socket, kind))
    if only6 is not None:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
    try:
        if host is None:
            made.listen()
        else:
            made.bind((host, port))
        return made.getsockname()[0]
    except OSError as error:
        return error.errno
print(json.dumps([bound(*case) for case in json.loads(sys.argv[1])]))
"""

CASES = {
    ("AF_INET", "SOCK_STREAM", "0.0.0.0"): "127.0.0.1",
    ("AF_INET", "SOCK_STREAM", "127.0.0.1"): "127.0.0.1",
    ("AF_INET", "SOCK_STREAM", "127.0.0.2"): "127.0.0.2",
    ("AF_INET", "SOCK_STREAM", "203.0.113.77"): errno.EADDRNOTAVAIL,
    ("AF_INET", "SOCK_STREAM", None): "127.0.0.1",
    ("AF_INET6", "SOCK_STREAM", "::"): "::ffff:127.0.0.1",
    ("AF_INET6", "SOCK_STREAM", "::", 0): "::ffff:127.0.0.1",
    ("AF_INET6", "SOCK_STREAM", "::", 1): "::1",
    ("AF_INET6", "SOCK_STREAM", "::ffff:0.0.0.0"): "::ffff:127.0.0.1",
    ("AF_INET6", "SOCK_STREAM", "::1"): "::1",
    ("AF_INET6", "SOCK_STREAM", None): "::ffff:127.0.0.1",
    ("AF_INET6", "SOCK_STREAM", None, 1): "::1",
    ("AF_INET", "SOCK_DGRAM", "0.0.0.0", None, 21_001): "127.0.0.1",
    ("AF_INET6", "SOCK_DGRAM", "::", 1, 21_002): "::1",
    ("AF_INET", "SOCK_DGRAM", "0.0.0.0", None, 0): "0.0.0.0",
}
"""Family, kind, address (None: listen at once), IPV6_V6ONLY, port → what it gets, or an errno."""


@pytest.fixture
def seccomp() -> None:
    """The filter. Where this machine refuses it, the test fails in CI and is skipped elsewhere."""
    if refusal := binds.refusal():
        if os.environ.get("CI"):
            pytest.fail(f"seccomp is refused on this CI machine: {refusal}")
        pytest.skip(f"seccomp is refused here: {refusal}")


@contextmanager
def filtered(*command: str, serve: bool = True) -> Iterator[IO[str]]:
    """The standard output of a filtered command, whose binds are answered if `serve`."""
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            socket.send_fds(theirs, [b"\n"], [binding.install()])
            os.dup2(write, 1)
            os.execv(command[0], command)
        finally:
            os._exit(127)
    os.close(write)
    (listener,) = socket.recv_fds(ours, 1, 1)[1]
    ours.close()
    theirs.close()
    server = threading.Thread(target=binds.serve, args=(listener,)) if serve else None
    if server is None:
        os.close(listener)
    else:
        server.start()
    with os.fdopen(read) as stream:
        yield stream
    assert os.waitpid(child, 0)[1] == 0
    if server is not None:
        server.join(10)  # it ends by itself when nobody is left who could ask
        assert not server.is_alive()
        os.close(listener)


def output(script: str, *words: str) -> str:
    """What a Python script prints that has no network of its own."""
    with filtered(sys.executable, "-c", script, *words) as stream:
        return stream.read()


@pytest.mark.usefixtures("seccomp")
def test_every_interface_becomes_loopback() -> None:
    got = json.loads(output(BIND, json.dumps(list(CASES))))
    assert dict(zip(CASES, got, strict=True)) == CASES


INHERIT = """
import socket, subprocess, sys, threading
def bind(name):
    made = socket.socket()
    made.bind(("", 0))
    print(name, made.getsockname()[0], flush=True)
child = subprocess.run([sys.executable, "-c", "import socket; s = socket.socket(); s.bind(('', 0));"
                        "print('child', s.getsockname()[0], flush=True)"])
thread = threading.Thread(target=bind, args=["thread"])
thread.start()
thread.join()
bind("itself")
"""


@pytest.mark.usefixtures("seccomp")
def test_threads_and_children_are_covered() -> None:
    lines = output(INHERIT).split("\n")[:-1]
    assert sorted(lines) == ["child 127.0.0.1", "itself 127.0.0.1", "thread 127.0.0.1"]


RAIN = """
import signal, socket
signal.signal(signal.SIGALRM, lambda *_: None)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
for _ in range(500):
    with socket.socket() as made:
        made.bind(("", 0))
        assert made.getsockname()[0] == "127.0.0.1"
signal.setitimer(signal.ITIMER_REAL, 0)
print("dry")
"""


@pytest.mark.usefixtures("seccomp")
def test_signals_do_not_disturb_an_answer() -> None:
    """The kernel begins the call anew (SA_RESTART), and what was done meanwhile stays done."""
    assert output(RAIN) == "dry\n"


BY_NUMBER = """
import ctypes, os, socket, sys
made = socket.socket()
address = bytes([2, 0]) + bytes(14)
print(ctypes.CDLL(None, use_errno=True).syscall(int(sys.argv[1]), made.fileno(), address, 16),
      made.getsockname()[0],
      ctypes.CDLL(None, use_errno=True).syscall(425, 8, None), ctypes.get_errno())
"""


@pytest.mark.skipif(bool(binds.refusal()), reason=f"seccomp is refused: {binds.refusal()}")
def test_system_calls_past_the_c_library_are_covered() -> None:
    """As static programs and Go's make them; io_uring, which binds too, is not there."""
    machine = binding.MACHINES[os.uname().machine]
    said = output(BY_NUMBER, str(machine.bind)).split()
    assert said == ["0", "127.0.0.1", "-1", str(errno.ENOSYS)]


@pytest.mark.skipif(bool(binds.refusal()), reason=f"seccomp is refused: {binds.refusal()}")
def test_without_a_launch_server_bind_fails_and_does_not_hang() -> None:
    with filtered(sys.executable, "-c", BIND, json.dumps(list(CASES)), serve=False) as stream:
        got = json.loads(stream.read())
    assert set(got) == {errno.ENOSYS}


def test_a_program_that_denies_access_to_its_memory_cannot_bind() -> None:
    """`PR_SET_DUMPABLE` 0: an ordinary user's launch server may not read its memory."""
    if os.geteuid() != 0 or binds.refusal():
        pytest.skip("needs root, to become somebody else, and seccomp")
    script = (
        "import ctypes, socket\nassert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0\n"
        "try: socket.socket().bind(('', 0))\nexcept OSError as e: print(e.errno, flush=True)"
    )
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(write, 1)
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with filtered("/usr/bin/python3", "-c", script) as inner:
                os.write(1, inner.read().encode())
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 100).decode().strip() == str(errno.EACCES)
    os.close(read)
    os.waitpid(child, 0)


def test_the_filter_knows_this_machines_numbers() -> None:
    """As far as the C library's headers tell them."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers here")
    lines = (line.split() for line in header.read_text().splitlines() if "__NR_" in line)
    numbers = {words[1].removeprefix("__NR_"): int(words[2]) for words in lines if len(words) == 3}
    machine = binding.MACHINES["x86_64"]
    for name in ("bind", "listen", "seccomp", "io_uring_setup", "pidfd_open", "pidfd_getfd"):
        assert getattr(machine, name) == numbers[name]


NATIVE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
COMPAT = {"x86_64": 0x40000003, "aarch64": 0x40000028}  # AUDIT_ARCH_I386, AUDIT_ARCH_ARM
ABSENT = binding.refuse(errno.ENOSYS)


def decided(machine: str, architecture: int, number: int) -> int:
    """What the filter answers to a system call; classic BPF, as far as it is used here."""
    program = binding.program(binding.MACHINES[machine])
    at, value = 0, 0
    while True:
        code, if_true, if_false, constant = program[at]
        at += 1
        if code == 0x20:
            value = {0: number, 4: architecture}[constant]
        elif code == 0x06:
            return constant
        else:
            holds = value == constant if code == 0x15 else value >= constant
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", NATIVE)
def test_the_filter_decides_for_each_table_of_system_calls(machine: str) -> None:
    known = binding.MACHINES[machine]
    asked = {n for n in range(1024) if decided(machine, NATIVE[machine], n) == binding.ASK}
    assert asked == {known.bind, known.listen}
    absent = {n for n in range(1024) if decided(machine, NATIVE[machine], n) == ABSENT}
    assert absent == {known.io_uring_setup}
    absent = {n for n in range(1024) if decided(machine, COMPAT[machine], n) == ABSENT}
    assert absent == {*known.foreign}, "32-bit programs run, and cannot listen"
    assert decided(machine, NATIVE[machine], 0x40000000 + known.bind) == ABSENT, "x32"
