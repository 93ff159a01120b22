"""A small training with and without tenfold, and with its supervision stopped in turn."""

from __future__ import annotations

import pytest

import overhead
from measure import Bench, Case
from tests.bench.test_launch import ALONE

from .conftest import measured

pytestmark = pytest.mark.usefixtures("lean_tensorflow")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker will do, and no time to warm up."""
    monkeypatch.setitem(overhead.JOBS, "worker", 1)
    monkeypatch.setattr(overhead, "_WARM_S", 0.1)


@ALONE
def test_training_by_hand_and_by_tenfold(bench: Bench) -> None:
    home = bench.home
    bench.compare(
        Case("by hand", lambda: overhead.by_hand(home / "hand", 2, 0.5)),
        Case("tenfold", lambda: overhead.by_tenfold(home / "ours", 2, 0.5)),
    )
    rows = measured(bench)
    assert {metric for case, metric in rows if case == "tenfold"} == {
        *("step rate", "CPU of tenfold", "log", "tenfold ps")
    }
    assert rows["by hand", "step rate"]["median"] > 0
    assert rows["tenfold", "log"]["median"] > 0


def test_supervision_is_stopped_and_continued_in_turn(bench: Bench) -> None:
    bench.compare(Case("turns", lambda: overhead.in_turn(bench.home / "turns", 2, 0.5)))
    assert measured(bench)["turns", "step rate"]["n"] == 2


def test_first_steps_are_measured_in_seconds(bench: Bench) -> None:
    overhead.first_steps(bench)
    difference = ("one task to its first step: tenfold up − bare", "difference")
    assert measured(bench)[difference]["unit"] == "s"


def test_talking_tasks_are_sampled(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "MESH", 3)
    bench.compare(Case("talk", lambda: overhead.talking(bench.home / "mesh", 1.5)))
    assert measured(bench)["talk", "edges seen"]["median"] == 3
