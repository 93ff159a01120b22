"""A process that no signal ends, as one that waits in the kernel for a dead disk: frozen."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FREEZER = Path("/sys/fs/cgroup/freezer")


@contextmanager
def freezer(name: str) -> Iterator[Path]:
    """A control group whose processes, once it is frozen, not even SIGKILL ends.

    That is so with the freezer of version 1 alone. Skips the test where there is none.
    """
    group = _FREEZER / f"tenfold-test-{os.getpid()}-{name}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"nothing unkillable can be made here: no freezer (cgroup v1): {error}")
    try:
        yield group
    finally:
        (group / "freezer.state").write_text("THAWED")
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        group.rmdir()


def freeze(group: Path, pid: int) -> None:
    """Freeze `pid` in `group`, until that ends."""
    (group / "cgroup.procs").write_text(str(pid))
    (group / "freezer.state").write_text("FROZEN")
    deadline = time.monotonic() + 10
    while "FROZEN" not in (group / "freezer.state").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
