"""A page whose package only the tasks' interpreter has is served by that interpreter."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import planned, up
from tests import pythons
from tests.conftest import survivors

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is missing"
    ),
]


def test_tensorboard_of_the_users_environment_is_used_if_tenfold_has_none(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = pythons.with_packages(pythons.venv(tmp_path / "env"))
    path = tmp_path / "tenfold.yaml"
    path.write_text(
        "cluster: c\npython: env\ntensorboard: true\njobs: {a: {run: sleep 600}}\nsuccess: [a]\n"
    )
    known = importlib.util.find_spec

    def without_tensorboard(name: str, package: str | None = None) -> Any:
        return None if name == "tensorboard" else known(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_tensorboard)
    made = planned(path)
    monkeypatch.undo()
    assert made.task("tensorboard/0").command[0] == str(python)
    run = up(made, runs=runs)
    try:
        status = run.wait(120, for_state=("running",))
        (page,) = (task for task in status["tasks"] if task["job"] == "tensorboard")
        assert page["state"] == "running"
        assert Path(f"/proc/{page['pid']}/cmdline").read_bytes().startswith(bytes(python) + b"\0")
    finally:
        assert run.stop(timeout_s=30)["state"] == "stopped"
    assert survivors(run.directory.path) == []
