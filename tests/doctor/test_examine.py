"""What is looked at: everything, or what one plan needs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tenfold.cells.kubernetes import client as kubernetes
from tenfold.cells.probing.findings import Finding, State
from tenfold.cluster.cell_table import CELLS
from tenfold.doctor import examine
from tenfold.doctor.examine import everything, for_plan, runnable
from tenfold.doctor.gpus import Gpu
from tenfold.doctor.packages import PACKAGES
from tenfold.planning.plan import Task
from tests.plans import plan_of, shell


def names(found: Iterable[Finding], area: str) -> list[str]:
    return [finding.name for finding in found if finding.area == area]


def finding(area: str, state: State, name: str = "x") -> Finding:
    return Finding(area, name, state, None, "", None)


def test_every_cell_and_framework_is_examined(tmp_path: Path) -> None:
    found = everything(tmp_path)
    assert set(names(found, "cell")) - {"compose"} == set(CELLS)
    assert names(found, "framework")[: len(PACKAGES)] == list(PACKAGES)
    assert names(found, "gpu")
    assert names(found, "file") == []
    for each in found:
        assert each.message, each
        assert each.hint is None or each.state != "ok", each
        assert each.hint is not None or each.state not in ("missing", "broken"), each


def test_a_plan_needs_its_own_cell_and_framework_only(tmp_path: Path) -> None:
    found = for_plan(plan_of(shell("a", "")), tmp_path)
    assert names(found, "cell") == ["local"]
    assert names(found, "framework") == []
    page = Task("tensorboard", 0, (sys.executable, "-m", "x"), service=True, preload=())
    task = Task("chief", 0, ("python", "t.py"))
    found = for_plan(plan_of(task, page, framework="tensorflow"), tmp_path)
    assert names(found, "framework") == ["tensorflow", "tensorboard"]
    found = for_plan(plan_of(task, page, framework="tensorflow", cell="kubernetes"), tmp_path)
    assert names(found, "cell") == ["kubernetes"]
    assert names(found, "framework") == [], "they are in an image"
    assert names(for_plan(plan_of(task, cell="slurm"), tmp_path), "cell") == ["slurm"]


def test_the_context_is_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def cluster(context: str | None = None) -> Finding:
        asked.append(context)
        return finding("cell", "ok")

    monkeypatch.setattr(kubernetes, "cluster", cluster)
    for settings in ({}, {"context": "far"}):
        for_plan(plan_of(shell("a", ""), cell="kubernetes", settings=settings), tmp_path)
    assert asked == [None, "far"]


def test_frameworks_are_asked_what_they_see_where_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu("0", "H100", 1, "550", "12.4")
    monkeypatch.setattr(examine, "gpus", lambda: ([gpu], [finding("gpu", "ok", "0")]))
    monkeypatch.setattr(examine, "package", lambda name, python: finding("framework", "ok", name))

    def visible(name: str, count: int, python: str | None) -> Finding:
        del python
        assert count == 1
        return finding(*(("framework", "broken") if name == "jax" else ("gpu", "ok")), name)

    monkeypatch.setattr(examine, "visible", visible)
    found = everything(tmp_path)
    assert names(found, "gpu") == ["0", "tensorflow", "torch"]
    states = {each.name: each.state for each in found if each.area == "framework"}
    assert states["jax"] == "broken", "it was found, but cannot be imported"
    assert states["torch"] == "ok"


@pytest.mark.parametrize(
    ("area", "state", "can"),
    [
        ("cell", "warning", True),
        ("cell", "missing", False),
        ("framework", "broken", False),
        ("machine", "broken", False),
        ("file", "missing", False),
        ("gpu", "broken", True),
    ],
)
def test_only_some_findings_prevent_a_run(area: str, state: State, can: bool) -> None:
    assert runnable([finding("cell", "ok"), finding(area, state)]) is can
