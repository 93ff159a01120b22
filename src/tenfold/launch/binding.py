"""A seccomp filter that lets a process answer a task's `bind` and `listen`.

Each of these calls of the task waits for the answer.

Owns the filter and the two system calls that install it; `binds` gives the answers. Used where a
run gets no network of its own. Linux only, x86_64 and aarch64.

Facts (seccomp(2), seccomp_unotify(2), include/uapi/linux/seccomp.h): a process and all it starts
keep a filter for good; a call that is to be answered waits, and fails with ENOSYS once nobody
holds the listener. Installing one takes CAP_SYS_ADMIN or no_new_privs, with which programs that
are setuid (sudo, ping) do not become another user.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.launch.namespace import call

ALLOW = 0x7FFF0000
"""A filter's answer: the system call proceeds."""

ASK = 0x7FC00000
"""A filter's answer: the holder of the listener decides.

It is SECCOMP_RET_USER_NOTIF.
"""

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_SPEC_ALLOW = 1 << 2  # no slower speculation: before Linux 5.16 a filter cost some per cent
_NEW_LISTENER = 1 << 3
_WAIT_KILLABLE = 1 << 5  # since Linux 5.19: no signal interrupts a call that is being answered

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # where struct seccomp_data has them
_OTHER_TABLE = 0x40000000  # x32's numbers on x86_64

Instruction = tuple[int, int, int, int]
"""An instruction of classic BPF.

Code, jump if true, jump if false, and constant (struct sock_filter).
"""


@dataclass(frozen=True, slots=True)
class SystemCallNumbers:
    """Numbers of the system calls on one type of processor.

    Attributes:
        architecture: its AUDIT_ARCH_ constant.
        bind, listen, seccomp, pidfd_open, pidfd_getfd, io_uring_setup: system calls.
        foreign: those by which a 32-bit program binds, listens or goes around both.
    """

    architecture: int
    bind: int
    listen: int
    seccomp: int
    foreign: tuple[int, ...]
    io_uring_setup: int = 425
    pidfd_open: int = 434
    pidfd_getfd: int = 438


MACHINES = {
    "x86_64": SystemCallNumbers(0xC000003E, 49, 50, 317, foreign=(102, 361, 363, 425)),
    "aarch64": SystemCallNumbers(0xC00000B7, 200, 201, 277, foreign=(102, 282, 284, 425)),
}
"""System call numbers by `os.uname().machine`.

From asm/unistd_64.h and asm-generic/unistd.h. 102 is socketcall.
"""


def refuse(number: int) -> int:
    """A filter's answer: the call fails with this errno."""
    return 0x00050000 | number


def program(machine: SystemCallNumbers) -> list[Instruction]:
    """The filter program: what happens with each system call.

    `bind` and `listen` ask. io_uring, which can do both unseen (IORING_OP_BIND, Linux 6.11), is
    not there; nor are both for 32-bit programs and in x32's table, where they have other numbers.
    """
    absent = refuse(errno.ENOSYS)
    foreign = [*_answers(dict.fromkeys(machine.foreign, absent)), (_RETURN, 0, 0, ALLOW)]
    own = {machine.bind: ASK, machine.listen: ASK, machine.io_uring_setup: absent}
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, len(foreign), 0, machine.architecture),
        *foreign,
        *_answers(own),
        (_JUMP_AT_LEAST, 0, 1, _OTHER_TABLE),
        (_RETURN, 0, 0, absent),
        (_RETURN, 0, 0, ALLOW),
    ]


def _answers(by_number: dict[int, int]) -> list[Instruction]:
    """Return the answer for a listed system call, and otherwise continue behind."""
    made: list[Instruction] = [(_LOAD, 0, 0, _NUMBER)]
    for number, answer in by_number.items():
        made += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]
    return made


def install() -> int:
    """Filter this thread and all that it starts from now on.

    Returns the listener, which is closed on exec.

    Raises OSError where the kernel refuses.
    """
    machine = MACHINES[os.uname().machine]
    instructions = program(machine)
    for flags in (_WAIT_KILLABLE, 0):
        try:
            return load(machine, instructions, _NEW_LISTENER | _SPEC_ALLOW | flags)
        except OSError as error:
            if error.errno != errno.EINVAL or not flags:
                raise
    raise AssertionError("the last try returns or raises")


def load(machine: SystemCallNumbers, instructions: Sequence[Instruction], flags: int = 0) -> int:
    """Give this thread a filter. Raises OSError.

    If the thread may not get new privileges, it gets none.
    """
    block = b"".join(struct.pack("HBBI", *one) for one in instructions)
    text = ctypes.create_string_buffer(block, len(block))
    filtered = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(text))
    arguments = (machine.seccomp, _SET_MODE_FILTER, flags, filtered)
    try:
        return call("syscall", *arguments)
    except PermissionError:
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return call("syscall", *arguments)
