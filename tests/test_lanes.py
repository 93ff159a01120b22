"""Lanes of `make test`: one worker has all tests of a group, and each test runs once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests import lanes

ROOT = Path(__file__).parents[1]

ENGINE = re.compile(
    r"docker_engine: |usefixtures..docker_engine|light_image|tenfold_image|torch_image"
    r"|slurm: Slurm|getfixturevalue..slurm"
)
"""Whatever a test module says to get an engine."""

NOTE = """
import os
from pathlib import Path
import pytest

def note(name):
    with open(Path(__file__).parents[2] / "ran", "a") as file:
        print(os.environ.get("PYTEST_XDIST_WORKER"), name, file=file, flush=True)
"""
CONTRACT = (
    NOTE
    + """
@pytest.mark.parametrize("cell", ["local", "docker", "slurm"])
@pytest.mark.parametrize("n", range(8))
def test_contract(cell, n):
    note(cell if cell != "local" else "tests/cells/test_contract.py")
"""
)
DOCKER = NOTE + "@pytest.mark.parametrize('n', range(8))\ndef test_it(n):\n    note('docker')\n"
FILE = NOTE + "@pytest.mark.parametrize('n', range(4))\ndef test_it(n):\n    note(__file__)\n"


def ran(directory: Path, *options: str) -> list[tuple[str, str]]:
    """Worker and group of each test that ran, in their order, with these options of pytest."""
    files = {"cells/test_contract": CONTRACT, "cells/test_docker": DOCKER}
    files |= {f"other/test_{n}": FILE for n in range(6)}
    for name, text in files.items():
        path = directory / f"tests/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    argv = [sys.executable, "-m", "pytest", "-p", "tests.lanes", "-p", "no:cacheprovider", "-q",
            "--import-mode=importlib", *options]  # fmt: skip
    done = subprocess.run(
        argv,
        cwd=directory,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (directory / "ran").read_text().splitlines()
    return [(worker, group) for worker, group in (line.split() for line in lines)]


@pytest.mark.parametrize("workers", [2, 4])
def test_all_tests_of_a_group_run_once_on_one_worker(tmp_path: Path, workers: int) -> None:
    found = ran(tmp_path, "--numprocesses", str(workers))
    assert len(found) == 3 * 8 + 8 + 6 * 4
    places: defaultdict[str, set[str]] = defaultdict(set)
    for worker, group in found:
        places[group].add(worker)
    assert len(places) == 3 + 6
    assert all(len(workers) == 1 for workers in places.values()), places
    assert len({worker for worker, _ in found}) == workers


def test_the_longest_groups_begin_first_and_side_by_side(tmp_path: Path) -> None:
    found = ran(tmp_path, "--numprocesses", "2")
    first: dict[str, str] = {}
    for worker, group in found:
        first.setdefault(worker, group)
    assert set(first.values()) == {"docker", "slurm"}


def test_without_lanes_pytest_runs_all_tests_itself(tmp_path: Path) -> None:
    assert {worker for worker, _ in ran(tmp_path)} == {"None"}


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/cells/test_docker.py::test_it[a-1]", "docker"),
        ("tests/cells/test_slurm.py::test_it", "slurm"),
        ("tests/cells/test_contract.py::test_it[docker]", "docker"),
        ("tests/cells/test_contract.py::test_it[exit 7-7-None-slurm]", "slurm"),
        ("tests/cells/test_contract.py::test_it[local]", "tests/cells/test_contract.py"),
        ("tests/cells/test_contract.py::test_it[own-1]", "tests/cells/test_contract.py"),
        ("tests/engines/test_engines.py::test_slurm_cancels", "slurm"),
        ("tests/engines/test_engines.py::test_a_container_reaches_another", "docker"),
        ("tests/examples/test_digits_on_cells.py::test_the_local_run[jax]", "docker"),
        ("tests/views/test_why.py::test_a_slurm_job", "tests/views/test_why.py"),
    ],
)
def test_the_group_of_a_test(nodeid: str, group: str) -> None:
    assert lanes.group(nodeid) == group


@pytest.mark.parametrize(
    ("cores", "gigabytes", "expected"),
    [(1, 64, 2), (2, 24, 4), (2, 8, 2), (2, 2, 1), (64, 512, 4)],
)
def test_lanes_by_cores_and_memory(cores: int, gigabytes: int, expected: int) -> None:
    assert lanes.count(cores, gigabytes << 30) == expected


def test_a_test_that_asks_for_an_engine_is_in_the_engines_group(
    request: pytest.FixtureRequest,
) -> None:
    for item in request.session.items:
        asked = set(getattr(item, "fixturenames", ()))
        if "docker_engine" in asked:
            assert lanes.group(item.nodeid) == lanes.DOCKER, item.nodeid
        if "slurm" in asked:
            assert lanes.group(item.nodeid) == lanes.SLURM, item.nodeid


def test_the_longest_groups_exist() -> None:
    missing = [name for name in lanes.LONGEST[2:] if not (ROOT / name).is_file()]
    assert not missing


def test_files_that_ask_for_an_engine_are_listed() -> None:
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob("tests/**/test_*.py")
        if ENGINE.search(path.read_text()) and path != Path(__file__)
    }
    assert asking == set(lanes.ENGINES)
