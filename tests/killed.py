"""Killing a process at each of its system calls in turn, with strace's help."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

CHANGING = (
    "openat", "write", "pwrite64", "rename", "renameat", "renameat2", "link", "linkat",
    "unlink", "unlinkat", "mkdir", "mkdirat", "ftruncate", "fsync", "fdatasync", "close",
)  # fmt: skip
"""Calls that change files, or after which something has changed."""

_ATTACH_S = 20.0


def each_death(prepare: Callable[[], object], act: Callable[[], object]) -> Iterator[str]:
    """`act` in a process that is killed as it begins its first `openat`, its second, …, and so on
    for each of `CHANGING`; `prepare` before each. Gives the place after each death.

    Skips the test where there is no strace, or it may not do that.
    """
    if shutil.which("strace") is None:
        _refuse("there is no strace: apt-get install strace")
    for call in CHANGING:
        for number in itertools.count(1):
            prepare()
            if not _dies(act, call, number):
                break
            yield f"{call} {number}"


def _refuse(why: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _dies(act: Callable[[], object], call: str, number: int) -> bool:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(write)
            os.read(read, 1)
            act()
            code = 0
        finally:
            os._exit(code)
    os.close(read)
    inject = f"inject={call}:signal=KILL:when={number}"
    command = ["strace", "-e", f"trace={call}", "-e", inject, "-o", os.devnull, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            _refuse(f"strace cannot attach here: {said}")
        os.write(write, b"\n")
        os.close(write)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        tracer.communicate(timeout=_ATTACH_S)
    assert status in (0, -signal.SIGKILL), "it failed by itself"
    return status != 0
