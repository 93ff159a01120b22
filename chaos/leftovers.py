"""What a case may leave behind: processes, however far they have wandered, and mounts.

Every process of a case has its home in the environment, under `MARK`; it is inherited by whatever
they start. A process that wiped its environment is found by its run directory in its arguments.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tenfold.base.procfs import is_alive

MARK = "CHAOS_HOME"

GRACE_S = 5.0
"""How long what a case has ended may take to be gone."""

_SWEEPS = 50


def found(home: Path) -> list[int]:
    """Pids of the living processes of a case."""
    marks = (f"{MARK}={home}\0".encode(), f"TENFOLD_RUN_DIRECTORY={home}/".encode())
    below = f"{home}/".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes() + b"\0"
            ours = any(mark in environment for mark in marks)
            if not ours:
                ours = below in (entry / "cmdline").read_bytes()
            if ours and is_alive(int(entry.name)):
                pids.append(int(entry.name))
    return pids


def wait_gone(home: Path, timeout_s: float) -> list[int]:
    """Wait until no process of the case is left; those that still are after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (left := found(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def end(home: Path) -> None:
    """End every process of the case, and undo its mounts."""
    for _ in range(_SWEEPS):
        alive = found(home)
        if not alive:
            break
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for place in reversed(mounts(home)):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


def mounts(home: Path) -> list[str]:
    """Where something is mounted below the case's home."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/mounts").read_text().splitlines()
        return [line.split()[1] for line in lines if line.split()[1].startswith(f"{home}/")]
    return []
