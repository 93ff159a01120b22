"""Printed lines arrive whole, in every way; a fault in them is found."""

from __future__ import annotations

import pytest

import lines
from lines import Talk
from measure import Bench

from .conftest import measured


@pytest.mark.parametrize("how", ["blocks", "lines"])
def test_all_lines_of_two_tasks(bench: Bench, how: str) -> None:
    lines.compare(bench, 2, 20_000, how)
    rows = measured(bench)
    assert len(rows) == 3
    assert all(row["unit"] == "lines/s" and row["median"] > 0 for row in rows.values())


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (lambda text: text.replace(b"line 000000007", b"line 000000008"), "wrong at 7"),
        (lambda text: text[:-1], "wrong at last"),
        (lambda text: text[:50] + text[51:], "wrong at 1"),
        (lambda text: text + text[-20:], "wrong at last"),
    ],
)
def test_lost_split_and_repeated_lines_are_found(bench: Bench, found: object, place: str) -> None:
    assert callable(found)
    talk = Talk(bench.home, 1, 10, "lines")
    talk.check(0, talk.text(0))
    with pytest.raises(RuntimeError, match=place):
        talk.check(0, found(talk.text(0)))
