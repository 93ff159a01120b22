"""Which tests may run at the same time: `make test LANES=2` runs two lanes, which mostly wait.

A test file stays in one lane. All that need a real Docker engine or Slurm stay in the same one,
since there is one of each, and it is the first to begin, since it takes longest. Those marked
`alone` run after both: the kernel counts kills for want of memory for the whole machine, and
others' tasks that are killed meanwhile would be taken for its victims.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ENGINES = (
    "tests/engines/",
    "tests/cells/test_contract.py",
    "tests/cells/test_docker",
    "tests/cells/test_slurm",
    "tests/doctor/",
    "tests/examples/test_digits_on_cells.py",
    "tests/examples/test_word2vec_on_cells.py",
    "tests/cells/test_rendered_files.py",
    "tests/test_resume_on_cells.py",
)
"""Beginnings of the paths of what starts engines, asks for them, or is about their being there."""

_FIRST = ("engines", "bench", "examples")
"""Lanes, and directories of tests, in the order in which they begin; then all others."""


def lane(path: str) -> str:
    """Tests of one lane never run at the same time."""
    return "engines" if path.startswith(ENGINES) else path


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Say each test's lane, where tests are shared out; what takes long begins first."""
    if not config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        return
    places = {}
    for item in items:
        path = item.path.relative_to(config.rootpath).as_posix()
        places[item] = lane(path)
        item.add_marker(pytest.mark.xdist_group(places[item]))
    items.sort(key=lambda item: _turn(places[item]))


def _turn(place: str) -> int:
    name = place if place == "engines" else Path(place).parts[1]
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)
