"""What many tests need: a place for runs, and the certainty that nothing of them is left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenfold.base import secrets
from tenfold.bringup.api import Run
from tenfold.launch import namespace
from tenfold.run.rundir import RunDirectory, every

# Real engines for tests: a session fixture each, started when first asked for.
pytest_plugins = [
    "tests.engines.browser",
    "tests.engines.docker",
    "tests.engines.image",
    "tests.engines.slurm",
    "tests.engines.torch_image",
    "tests.hidden_packages",
    "tests.lanes",
    "tests.own_process",
]

LEAST_WAIT_S = 60.0
_END_S = 15.0
"""How long a run may take to let go of its lock after the test has seen its end."""
ISOLATIONS = ("namespace", "none")

os.environ["TENFOLD_DASHBOARD"] = "no"
"""The many `up`s of these tests start none."""


@pytest.fixture(autouse=True)
def no_secret_is_known() -> None:
    """What one test calls a secret is a plain word for the next."""
    secrets.forget()


def pytest_configure() -> None:
    """Signals that whoever started the tests ignores (`nohup`, `&` in a script) work again.

    What is ignored stays ignored in every child, and tests here send signals.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


def survivors(directory: Path) -> list[int]:
    """Pids of processes that belong to a run below `directory`, as their environment says."""
    wanted = f"TENFOLD_RUN_DIRECTORY={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                environment = (entry / "environ").read_bytes()
                gone = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            except (OSError, IndexError):
                continue
            if wanted in environment and not gone:
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], timeout_s: float = LEAST_WAIT_S) -> None:
    """Wait until `condition` holds; fails the test after `timeout_s`, a minute at the least.

    A limit decides nothing but how late a failure shows, and a busy machine is slow.
    """
    deadline = time.monotonic() + max(timeout_s, LEAST_WAIT_S)
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def pid_of(run: Run, name: str) -> int:
    """The pid of a task, as soon as the run's status has one."""
    found: list[int] = []

    def has_one() -> bool:
        tasks = run.status()["tasks"]
        found[:] = [one["pid"] for one in tasks if one["task"] == name and one["pid"]]
        return bool(found)

    wait_for(has_one)
    return found[0]


def _ended(run: RunDirectory) -> bool:
    deadline = time.monotonic() + _END_S
    while run.alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not run.alive()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for runs, where commands look. At the end none may be up, and no process be left."""
    place = (tmp_path / "runs").resolve()
    monkeypatch.setenv("TENFOLD_RUNS", str(place))
    yield place
    left = [run for run in every(place) if not _ended(run)]
    for run in left:
        Run(run).stop(kill=True, timeout_s=60)
    assert not left, "the test left runs up"
    wait_for(lambda: not survivors(place), 5)


@pytest.fixture(params=ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    """Both ways of the local cell. Fails loudly in CI where a namespace is not to be had."""
    mode = str(request.param)
    if mode == "namespace" and (refusal := namespace.refusal()):
        if os.environ.get("CI"):
            pytest.fail(f"no namespace on this CI machine: {refusal}")
        pytest.skip(f"this machine refuses namespaces: {refusal}")
    return mode
