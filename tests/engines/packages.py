"""Debian's packages for the engines: which they are, and how they get here.

Owns when a missing engine is a skip and when it is a failure: see `missing`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

DOCKER = {
    "dockerd": "docker.io",
    "docker-compose": "docker-compose",
    "iptables": "iptables",
}
"""What has to be on PATH for Docker → the package that brings it. Likewise below."""

DEBOOTSTRAP = {"debootstrap": "debootstrap"}

SLURM = {
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "sbatch": "slurm-wlm",
    "munged": "munge",
}

CHROMIUM = {"chromium": "chromium"}

LIMIT_S = 420
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive"}
APT = ("apt-get", "-y", "-qq", "-o", "DPkg::Lock::Timeout=120")


def missing(what: str, can_be_installed: bool = True) -> NoReturn:
    """End the test for want of `what`: it fails in CI, and is skipped elsewhere.

    What this kind of machine cannot have at all (`can_be_installed` false) is skipped in CI too.
    """
    if os.environ.get("CI") and can_be_installed:
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def absent(programs: dict[str, str]) -> list[str]:
    """The packages of those `programs` that are not on PATH, each once."""
    return sorted({package for program, package in programs.items() if not shutil.which(program)})


def need(programs: dict[str, str]) -> None:
    """When this returns, each of `programs` is on PATH. Ends the test as `missing` otherwise.

    Installs without what Debian only recommends, and without starting a service where the machine
    has no init to start it with.
    """
    packages = absent(programs)
    if not packages:
        return
    wanted = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        missing(f"needs {wanted}: apt-get install {wanted}", bool(shutil.which("apt-get")))
    with _turn():
        refusal = _install(absent(programs))
    if left := absent(programs):
        missing(f"apt-get install {wanted} did not bring {' '.join(left)}: {refusal}")


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """One lane at a time: apt-get waits for another's installation, but not for its lists."""
    with open(Path(tempfile.gettempdir()) / "tenfold-test-packages.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(packages: list[str]) -> str:
    """Install, reading the package lists first if the first try fails for want of them."""
    if not packages:
        return ""
    install = [*APT, "install", "--no-install-recommends", *packages]
    refusal = _run(install)
    if refusal:
        _run([*APT, "update"])
        refusal = _run(install)
    return refusal


def _run(command: list[str]) -> str:
    """The last lines of what `command` said if it failed; empty if it did not."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took more than {LIMIT_S} s"
    return "" if done.returncode == 0 else done.stdout[-1500:]
