"""Which tests may run at the same time: `make test` runs them in lanes, one process each.

A lane runs one group of tests after another. The tests of a file are one group, so that they share
the fixtures of their module. All tests that need the Docker engine are one group, and so are those
that need the Slurm of four nodes, because a session starts each of these once.

Tests marked `alone` run in a process of their own, after all lanes have ended. The kernel counts
kills for want of memory for the whole machine, and tasks of other tests that are killed meanwhile
would be taken for its victims.

xdist's own `--dist loadgroup` does not keep groups together with pytest 9.2: it writes the group
into `Item._nodeid`, which pytest no longer reads. Every test is then a group of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import psutil
import pytest
from xdist.scheduler import LoadScopeScheduling

DOCKER, SLURM = "docker", "slurm"

ENGINES = (
    "tests/cells/test_contract.py",
    "tests/cells/test_docker.py",
    "tests/cells/test_slurm.py",
    "tests/doctor/test_docker.py",
    "tests/doctor/test_slurm.py",
    "tests/engines/test_engines.py",
    "tests/examples/test_digits_on_cells.py",
    "tests/examples/test_word2vec_on_cells.py",
    "tests/cells/test_rendered_files.py",
    "tests/cells/test_runs_on_cells.py",
    "tests/cells/test_slurm_interpreters.py",
    "tests/bringup/test_resume_on_cells.py",
)
"""The files that start an engine. Their tests are told apart by the names of file and test."""

LONGEST = (
    DOCKER,
    SLURM,
    "tests/examples/test_word2vec.py",
    "tests/dashboard/test_browser.py",
    "tests/chaos/test_cases.py",
    "tests/dashboard/test_real_cluster.py",
    "tests/tensorflow/test_cluster.py",
    "tests/launch/test_together.py",
    "tests/services/test_pages.py",
    "tests/torch/test_cluster.py",
    "tests/jax/test_cluster.py",
    "tests/bench/test_train.py",
    "tests/bench/test_dashboard.py",
    "tests/launch/test_script.py",
    "tests/cells/test_local.py",
    "tests/cells/test_leavings.py",
    "tests/cells/test_contract.py",
    "tests/supervise/test_presence.py",
    "tests/supervise/test_endurance.py",
)
"""The groups that take longest, in the order in which they begin. All others follow."""


def group(nodeid: str) -> str:
    """The group of a test: `docker`, `slurm`, or the path of its file."""
    path, _, test = nodeid.partition("::")
    if path not in ENGINES:
        return path
    if "slurm" in _words(path.rpartition("/")[2] + test):
        return SLURM
    parameters = _words(test.partition("[")[2])
    return path if parameters & {"local", "own"} else DOCKER


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall("[a-z0-9]+", text))


def turn(name: str) -> int:
    """The place of a group in the order in which groups begin."""
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def count(cores: int, memory: int) -> int:
    """How many lanes a machine runs by default: two a core, at most four, one per 3 GiB of memory.

    Two thirds of the time of a test are waiting, for a cluster that comes up or goes down. A
    cluster of TensorFlow takes up to 3 GiB.
    """
    return max(1, min(4, 2 * cores, memory // (3 << 30)))


class LaneScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each group of tests to one worker of xdist, those that take longest first."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        """Give the worker the group whose turn it is."""
        self.workqueue.move_to_end(_next(self.workqueue), last=False)
        super()._assign_work_unit(node)


def _next(groups: Iterable[str]) -> str:
    return min(groups, key=turn)  # the first of those that are alike


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """The number of lanes for `--numprocesses auto`, which `make test` uses."""
    return count(len(os.sched_getaffinity(0)), psutil.virtual_memory().total)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LaneScheduling | None:
    """Share the tests out in lanes, unless `--dist` asks for another way."""
    return LaneScheduling(config, log) if config.getoption("dist") == "load" else None
