"""Packages that `import tensorflow` also imports where they are installed, hidden from tasks.

Keras and TensorFlow try to import jax, scikit-learn and matplotlib, for functions that few call.
They are installed here for other tests, and take two fifths of the CPU of `import tensorflow`.
A test whose clusters need none of them asks for the fixture `lean_tensorflow`: its commands and
tasks then run as on a machine where nobody installed these packages.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OPTIONAL = ("jax", "sklearn", "matplotlib")

_ABSENT = "raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"


def hide(directory: Path, *names: str) -> str:
    """Make modules in `directory` whose import fails; the PYTHONPATH that puts them first."""
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / f"{name}.py").write_text(_ABSENT.format(name=name))
    return os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))


@pytest.fixture
def lean_tensorflow(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that the test starts import TensorFlow without `OPTIONAL`."""
    monkeypatch.setenv("PYTHONPATH", hide(tmp_path_factory.mktemp("hidden"), *OPTIONAL))


@pytest.fixture
def lean_tensorflow_with_pictures(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for clusters that draw with matplotlib."""
    monkeypatch.setenv("PYTHONPATH", hide(tmp_path_factory.mktemp("hidden"), "jax", "sklearn"))
