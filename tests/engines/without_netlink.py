"""Run a program that cannot ask the kernel for news of network interfaces.

    python without_netlink.py PROGRAM ARGUMENT…

Chromium gives up every load with ERR_NETWORK_CHANGED when an interface of the machine comes or
goes, and other tests make interfaces meanwhile. Without AF_NETLINK it takes the network for
constant. The filter is seccomp's, as in seccomp(2); it is inherited by all that the program starts.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

_SOCKET = {"x86_64": 41, "aarch64": 198}
_AF_NETLINK, _EAFNOSUPPORT = 16, 97
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16  # where struct seccomp_data has them


def deny() -> None:
    """From now on, socket(AF_NETLINK, …) fails in this process. No effect on other machines."""
    number = _SOCKET.get(platform.machine())
    if number is None:
        return
    code = (
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 3, number),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    )
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    program = struct.pack("@HxxxxxxP", len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, program, 0, 0):
        print("no seccomp:", os.strerror(ctypes.get_errno()), file=sys.stderr)


if __name__ == "__main__":
    deny()
    os.execv(sys.argv[1], sys.argv[1:])
