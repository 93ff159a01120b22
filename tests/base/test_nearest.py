"""The name that was probably meant."""

from __future__ import annotations

from tenfold.base.nearest import did_you_mean, nearest


def test_near_and_far() -> None:
    assert nearest("wroker", ["worker", "ps"]) == "worker"
    assert nearest("x", ["worker", "ps"]) is None
    assert did_you_mean("taks", ["tasks"]) == "did you mean tasks?"


def test_long_and_many_names_end_quickly() -> None:
    assert nearest("x" * 1000, ["x" * 1000]) is None
    many = [f"name{number}" for number in range(100_000)]
    assert nearest("name7x", many) is not None
