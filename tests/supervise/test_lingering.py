"""Ranks that still run when the others of their group have ended well: pure."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tenfold import frameworks
from tenfold.supervise.lingering import AFTER_S, Rank, lingering
from tests.supervise.histories import History, task

NOW = 1000.0


def ranks(ends: Mapping[str, float | None]) -> list[Rank]:
    """A rank by name, and when it ended well; None: it runs."""
    return [Rank(n, n.rpartition("/")[0], ended is None, ended) for n, ended in ends.items()]


def words(ends: Mapping[str, float | None], framework: str = "torch") -> list[str]:
    return [
        found.words(NOW) for found in lingering(frameworks.framework(framework), ranks(ends), NOW)
    ]


@pytest.mark.parametrize("framework", ["torch", "jax", "tensorflow"])
def test_a_rank_that_does_not_end_is_named(framework: str) -> None:
    ends = {"worker/0": None, "worker/1": 980.0, "worker/2": 985.0, "worker/3": 988.0}
    told = "worker/0 still runs; the other 3 ranks finished 12 s ago"
    assert words(ends, framework) == [told]


def test_several_ranks_that_do_not_end_are_named() -> None:
    ends = {"chief/0": None, "worker/0": None, "worker/1": 980.0}
    assert words(ends) == ["chief/0, worker/0 still run; the other rank finished 20 s ago"]


@pytest.mark.parametrize(
    "ends",
    [
        {"worker/0": None, "worker/1": NOW - AFTER_S + 0.1},
        {"worker/0": None, "worker/1": None},
        {"worker/0": 1.0, "worker/1": 1.0},
        {"worker/0": None},
        {"worker/0": None, "fetch/0": 1.0},
    ],
    ids=["only just", "all run", "all ended", "alone", "another group"],
)
def test_nothing_is_reported_while_nothing_is_wrong(ends: dict[str, float | None]) -> None:
    assert words(ends) == []


def test_a_rank_that_failed_or_starts_again_is_reported_elsewhere() -> None:
    assert lingering(frameworks.framework("torch"), [*ranks({"worker/0": None, "worker/1": 1.0}),
                               Rank("worker/2", "worker", running=False)], NOW) == []  # fmt: skip


def test_tasks_that_are_no_ranks_may_end_when_they_like() -> None:
    ends = {"worker/0": None, "worker/1": 1.0}
    assert words(ends, "none") == []
    assert words(ends | {"ps/0": None}, "tensorflow") == []


def test_a_report_comes_once_and_ends_nothing() -> None:
    history = History(task("worker/0"), task("worker/1"), success=("worker",))
    object.__setattr__(history.state.plan, "framework", "torch")
    history.step(0.0)
    history.now = 1.0
    history.ends("worker/1")
    assert history.step(2.0).notes == []
    ((message, hint),) = history.step(12.0).notes
    assert message == "worker/0 still runs; the other rank finished 11 s ago"
    assert hint == "see where it is: tenfold stacks c"
    assert history.step(100.0).notes == []
    assert history.phases() == {"worker/0": "running", "worker/1": "succeeded"}
