"""Both ways to plan count the same tasks."""

from __future__ import annotations

import pytest

import plan
from measure import Bench

from .conftest import measured


def test_a_small_plan_in_both_ways(bench: Bench) -> None:
    plan.compare(bench, 10)
    rows = measured(bench)
    assert {metric for case, metric in rows if case == "10 tasks"} == {
        *("import", "load", "plan", "load + plan")
    }
    assert rows["10 tasks: tenfold plan --json", "JSON"]["median"] > 0.001


def test_another_number_of_tasks_is_a_failure(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="the plan has 10 tasks, not 11"):
        list(plan.in_python(plan.write(bench.home / "10", 10), 11))
