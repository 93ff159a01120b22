"""Run a program on a machine that refuses some system calls: `refusing.py NAMES -- COMMAND …`.

NAMES, by commas, are `unshare` (no namespaces), `seccomp` (no filters of one's own), `flock` (no
locks, as on some network file systems) and `bind` (no sockets, as on FAT). What
hardened machines and containers do, by the same means: the kernel refuses, and nothing is faked.
"""

from __future__ import annotations

import errno
import os
import platform
import sys

from tenfold.launch import binding

NUMBERS = {
    "x86_64": {"unshare": 272, "seccomp": 317, "flock": 73, "bind": 49},
    "aarch64": {"unshare": 97, "seccomp": 277, "flock": 32, "bind": 200},
}
"""By `platform.machine()`: asm/unistd_64.h, asm-generic/unistd.h."""

LOAD_NUMBER = (0x20, 0, 0, 0)


def refuse(names: list[str]) -> None:
    """From now on, in this process and all it starts, these calls fail with EPERM."""
    machine = platform.machine()
    instructions = [LOAD_NUMBER]
    for name in names:
        instructions.append((0x15, 0, 1, NUMBERS[machine][name]))
        instructions.append((0x06, 0, 0, binding.refuse(errno.EPERM)))
    instructions.append((0x06, 0, 0, binding.ALLOW))
    binding.load(binding.MACHINES[machine], instructions)


if __name__ == "__main__":
    names, dashes, *command = sys.argv[1:]
    assert dashes == "--"
    refuse(names.split(","))
    os.execvp(command[0], command)
