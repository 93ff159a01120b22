"""This machine: Python, cores, memory, disk, open files, shared memory, ports.

Owns: what of the machine this process may really use, and from where on it gets tight. Leaves to
others: what a cluster needs of it (`fit`), GPUs (`gpus`), namespaces (`local`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tenfold.base.quantities import memory_text
from tenfold.cells.probing.findings import Finding, State
from tenfold.cells.probing.hints import as_root
from tenfold.doctor import cgroup
from tenfold.errors import TenfoldError
from tenfold.run.rendezvous import hold_port

GIB = 1 << 30
LITTLE_MEMORY, LITTLE_DISK, LITTLE_SHARED = GIB, GIB, GIB // 2
FEW_FILES = 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use. Memory and disk are bytes.

    None stands for what cannot be determined.

    Attributes:
        cores: by affinity and by the control group's quota, so it can be 1.5.
        all_cores: those the machine has.
        memory: what there is at all, by the machine or the control group.
        available: what can be taken now, without pushing anybody out.
        files: most files that a process may have open, once it has raised its own limit.
    """

    cores: float
    all_cores: int
    memory: int | None
    available: int | None
    limited: bool
    files: int


def measure() -> Machine:
    """Measure this machine as it is now."""
    limits = cgroup.limits()
    total, available = _memory()
    every = os.cpu_count() or 1
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else every)
    limited = limits.memory is not None and (total is None or limits.memory < total)
    return Machine(
        cores=min(filter(None, (cores, limits.cores))),
        all_cores=every,
        memory=limits.memory if limited else total,
        available=min((n for n in (available, limits.left) if n is not None), default=None),
        limited=limited,
        files=_most_files(),
    )


def _memory() -> tuple[int | None, int | None]:
    """Bytes there are, and bytes available, of the whole machine."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            found[name] = int(rest.split()[0]) * 1024
    if "MemTotal" in found:
        return found["MemTotal"], found.get("MemAvailable")
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return None, None


def _most_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def machine(runs: Path, facts: Machine) -> list[Finding]:
    """Findings about this machine. Runs are stored in `runs`."""
    found = [_python(), _cores(facts), _memory_words(facts), disk(runs), _files(facts)]
    return [*found, *_shared(), ports()]


def _said(name: str, state: State, message: str, hint: str | None = None) -> Finding:
    return Finding("machine", name, state, None, message, hint)


def _python() -> Finding:
    version, system = platform.python_version(), platform.system()
    where = f"{sys.executable}, on {'macOS' if system == 'Darwin' else system} {platform.machine()}"
    if sys.platform in ("linux", "darwin"):
        return Finding("machine", "python", "ok", version, where, None)
    hint = "on Windows, use WSL 2: wsl --install"
    return Finding("machine", "python", "broken", version, f"{where}: not supported", hint)


def _number(count: float) -> str:
    return f"{count:.3g}" if count < 1000 else f"{count:.0f}"


def _cores(facts: Machine) -> Finding:
    count, every = facts.cores, facts.all_cores
    if count >= every:
        return _said("cores", "ok", f"all {every} can be used")
    return _said("cores", "ok", f"{_number(count)} of the {every} can be used")


def _memory_words(facts: Machine) -> Finding:
    if facts.memory is None:
        return _said("memory", "warning", "the amount of memory is unknown")
    whose = " that this container or job may have" if facts.limited else ""
    if facts.available is None:
        return _said("memory", "ok", f"{memory_text(facts.memory)}{whose}")
    message = f"{memory_text(facts.available)} free of the {memory_text(facts.memory)}{whose}"
    if facts.available < LITTLE_MEMORY:
        return _said(
            "memory", "warning", message, "end processes that use it: ps aux --sort=-rss | head"
        )
    return _said("memory", "ok", message)


def disk(runs: Path) -> Finding:
    """Room for runs, and whether they may be written there."""
    place = runs.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return _said("disk", "broken", f"{place} is not usable: {error.strerror}", _elsewhere())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        message = f"runs cannot be written to {place}"
        return _said("disk", "broken", message, _elsewhere())
    message = f"{memory_text(free)} free for runs in {runs}"
    if free < LITTLE_DISK:
        return _said("disk", "warning", message, f"remove old runs there, or {_elsewhere()}")
    return _said("disk", "ok", message)


def _elsewhere() -> str:
    return "export TENFOLD_RUNS=/another/place"


def _files(facts: Machine) -> Finding:
    if facts.files >= sys.maxsize:
        return _said("open files", "ok", "no limit")
    message = f"a process can open {facts.files:,} files"
    if facts.files < FEW_FILES:
        return _said("open files", "warning", message, as_root("prlimit --nofile=65536 --pid $$"))
    return _said("open files", "ok", message)


def _shared() -> list[Finding]:
    """/dev/shm, through which PyTorch's data loaders and NCCL communicate.

    Containers often have little of it.
    """
    place = Path("/dev/shm")
    try:
        there = shutil.disk_usage(place)
    except OSError:
        return []
    message = f"{memory_text(there.free)} free of {memory_text(there.total)} in {place}"
    if there.free < LITTLE_SHARED:
        message += ": too little for data loaders of PyTorch and NCCL"
        hint = as_root(f"mount -o remount,size=2G {place}") + " (in Docker: run --shm-size=2g)"
        return [_said("shared memory", "warning", message, hint)]
    return [_said("shared memory", "ok", message)]


def ports(hold: Callable[[], object] = hold_port) -> Finding:
    """Whether a port of this machine can be held.

    Runs without a network of their own hold ports.
    """
    try:
        held = hold()
    except TenfoldError as error:
        return _said("ports", "broken", error.message, error.hint)
    getattr(held, "close", lambda: None)()
    return _said("ports", "ok", "a port can be reserved until its task starts")
