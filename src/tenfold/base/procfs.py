"""Read /proc of Linux.

It has a process's stat, status, environment, children and open files.

The readers never raise for a process that is gone or that this user may not look at: they return
None, or nothing. Where there is no /proc there are no processes. `proc` is the directory to read,
and pids are those that it shows. Format of the files: proc_pid_stat(5) and its neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

PROC = "/proc"

Pid = int | Literal["self"]
"""A process. `self` is the reader.

This holds even if /proc shows another PID namespace's pids.
"""

_TICKS_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FIELDS = 49
"""The number of fields of `stat` after the name that are read here.

The last one is env_end.
"""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process, from /proc/PID/stat.

    Attributes:
        comm: the program's name, at most 15 bytes of it.
        state: one letter; Z and X mean that the process has ended.
        utime: processor time in user mode, in clock ticks; `stime`: in the kernel.
        start: when it was started, in clock ticks since boot. With the pid it names a process.
        resident: memory in use, in pages.
        argument_area: begin and end of the memory that /proc/PID/cmdline shows; zeros if hidden.
        environment_area: the same of /proc/PID/environ.
    """

    pid: int
    comm: str
    state: str
    ppid: int
    pgrp: int
    session: int
    utime: int
    stime: int
    threads: int
    start: int
    resident: int
    argument_area: tuple[int, int]
    environment_area: tuple[int, int]

    @property
    def ended(self) -> bool:
        """Whether only the exit code is left of the process."""
        return self.state in "ZX"

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, in seconds."""
        return (self.utime + self.stime) * _TICKS_S

    @property
    def memory_bytes(self) -> int:
        """Memory in use. Shared pages count in each process."""
        return self.resident * _PAGE_BYTES


def read_stat(pid: Pid, proc: str = PROC) -> ProcessStat | None:
    """Read the kernel's counters of a process, or None if it is gone.

    A zombie is not gone.
    """
    data = _read(f"{proc}/{pid}/stat")
    if data is None:
        return None
    front, _, back = data.rpartition(b")")
    words = back.split()
    if len(words) < _FIELDS:
        return None
    try:
        return ProcessStat(
            pid=int(front.partition(b" ")[0]),
            comm=front.partition(b"(")[2].decode(errors="replace"),
            state=words[0].decode("ascii", "replace"),
            ppid=int(words[1]),
            pgrp=int(words[2]),
            session=int(words[3]),
            utime=int(words[11]),
            stime=int(words[12]),
            threads=int(words[17]),
            start=int(words[19]),
            resident=int(words[21]),
            argument_area=(int(words[45]), int(words[46])),
            environment_area=(int(words[47]), int(words[48])),
        )
    except ValueError:
        return None


def is_alive(pid: int, proc: str = PROC) -> bool:
    """Whether a process has not ended. A zombie has."""
    stat = read_stat(pid, proc)
    return stat is not None and not stat.ended


def pids(proc: str = PROC) -> list[int]:
    """All processes, zombies included."""
    return [int(name) for name in _names(proc) if name.isdecimal()]


def living(proc: str = PROC) -> Iterator[ProcessStat]:
    """All processes that have not ended."""
    for pid in pids(proc):
        if (stat := read_stat(pid, proc)) and not stat.ended:
            yield stat


def ancestors(pid: int, proc: str = PROC) -> Iterator[int]:
    """The ancestors of a process, starting with its parent.

    They end where /proc shows no more.
    """
    seen = {0, pid}
    while (stat := read_stat(pid, proc)) and stat.ppid not in seen:
        pid = stat.ppid
        seen.add(pid)
        yield pid


def read_children(pid: Pid, proc: str = PROC) -> list[int] | None:
    """The children of a process's main thread, started or adopted.

    None if the process is gone.
    """
    main = os.getpid() if pid == "self" else pid
    data = _read(f"{proc}/{pid}/task/{main}/children")
    return None if data is None else [int(word) for word in data.split()]


def read_environment(pid: int, proc: str = PROC, holding: bytes = b"") -> dict[bytes, bytes] | None:
    """The environment that a process was started with.

    None if it cannot be read, or if these bytes are nowhere in it. Whoever searches all processes
    for a few gives `holding`, since to take an environment apart is most of the work.
    """
    data = _read(f"{proc}/{pid}/environ")
    if data is None or holding not in data:
        return None
    found: dict[bytes, bytes] = {}
    for entry in data.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals:
            found.setdefault(name, value)  # of two, getenv(3) returns the first
    return found


def read_status(pid: Pid, proc: str = PROC, thread: int | None = None) -> dict[str, str] | None:
    """The fields of a process's or a thread's `status`, or None if it is gone."""
    place = f"{proc}/{pid}" if thread is None else f"{proc}/{pid}/task/{thread}"
    data = _read(f"{place}/status")
    if data is None:
        return None
    pairs = (line.partition(":") for line in data.decode(errors="replace").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def thread_ids(pid: Pid, proc: str = PROC) -> list[int]:
    """The threads of a process. Empty if it is gone."""
    return [int(name) for name in _names(f"{proc}/{pid}/task")]


def socket_inodes(pid: int, proc: str = PROC) -> Iterator[int]:
    """Inodes of a process's sockets.

    Empty if the process is gone or not ours to look at.
    """
    for name in _names(f"{proc}/{pid}/fd"):
        try:
            link = os.readlink(f"{proc}/{pid}/fd/{name}")
        except OSError:
            continue
        if link.startswith("socket:["):
            yield int(link[8:-1])


def descriptors_of(pid: int, file: tuple[int, int], proc: str = PROC) -> Iterator[int]:
    """Descriptors by which a process has a file open.

    `file` is its device and inode.
    """
    for name in _names(f"{proc}/{pid}/fd"):
        try:
            found = os.stat(f"{proc}/{pid}/fd/{name}")  # noqa: PTH116
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == file:
            yield int(name)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None
