"""A Docker engine for tests: the one that runs here, or one of our own until the session ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines import packages
from tests.engines.daemons import Daemon, answers, new_directory

START_LIMIT_S = 60.0
LABEL = "tenfold.test"
"""Carried by every image of the tests, and by every container and network that a test starts
through `DockerEngine.start`."""


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers `docker info` wherever the tests' environment points."""

    version: str
    """Of the engine, not of the client: `20.10.24+dfsg1`."""
    ours: bool
    """Whether this session started it."""

    def docker(self, *arguments: str, timeout_s: float = 120.0) -> str:
        """What `docker …` printed, stripped. `CalledProcessError` with its words if it failed."""
        return docker(*arguments, timeout_s=timeout_s)

    def start(self, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
        """Start a container in the background; its id. It goes with the session at the latest."""
        return self.docker("run", "--detach", "--label", LABEL, *options, image, *command)


def docker(*arguments: str, timeout_s: float = 120.0) -> str:
    """What `docker …` printed on stdout, stripped; raises `CalledProcessError` if it failed."""
    done = subprocess.run(
        ["docker", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, ["docker", *arguments])
        error.add_note((done.stdout + done.stderr)[-3000:])
        raise error
    return done.stdout.strip()


def version() -> str | None:
    """The version of the engine that answers, or None."""
    try:
        return docker("info", "--format", "{{.ServerVersion}}", timeout_s=20.0) or None
    except (subprocess.SubprocessError, OSError):
        return None


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """An engine with `docker-compose` beside it.

    One that answers already is used and left running. Otherwise `dockerd` is started, as root, and
    ended with the session. Containers and networks with `LABEL` are removed; images stay.
    """
    packages.need(packages.DOCKER)
    daemon = None if version() else _start()
    try:
        if daemon:
            _weigh()
        yield DockerEngine(version() or "", ours=daemon is not None)
        _sweep()
    finally:
        if daemon:
            daemon.stop(grace_s=30.0)
            shutil.rmtree(daemon.log.parent, ignore_errors=True)


def command(directory: Path) -> list[str]:
    """How `dockerd` is started: on the machine's own data, so that images are there next time, and
    on the socket where the clients look.

    `--pidfile` is ours: a stale one of the machine's would refuse the start.
    """
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return ["dockerd", "--host", host, "--pidfile", str(directory / "pid")]


def _start() -> Daemon:
    if os.geteuid() != 0:
        packages.missing("no Docker engine answers, and only root can start one", False)
    directory = new_directory("dockerd")
    daemon = Daemon(command(directory), directory / "log", orphaned=signal.SIGTERM)
    if not answers(version, START_LIMIT_S, [daemon]):
        said = daemon.said()
        daemon.stop()
        shutil.rmtree(directory, ignore_errors=True)
        packages.missing(f"dockerd does not start:\n{said}")
    return daemon


def _weigh() -> None:
    """Give the containers of this engine together the share of 16 sessions, where cgroups are v1.

    The kernel shares the cores out among groups: all containers are one, and each session of other
    tests is one as well (`sched_autogroup_enabled`, sched(7)). Twelve imports of TensorFlow in
    containers would get as much as one test that runs beside them.
    """
    group = Path("/sys/fs/cgroup/cpu/docker")
    with contextlib.suppress(OSError):
        group.mkdir(exist_ok=True)
        (group / "cpu.shares").write_text("16384")


def _sweep() -> None:
    """Remove what tests left, so that a stopped engine leaves no mount and no network behind."""
    chosen = ("--quiet", "--filter", f"label={LABEL}")
    if left := docker("ps", "--all", *chosen).split():
        docker("rm", "--force", "--volumes", *left)
    if left := docker("network", "ls", *chosen).split():
        docker("network", "rm", *left)
