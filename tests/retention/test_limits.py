"""Which runs the limits select: pure, from ages and sizes."""

from __future__ import annotations

import pytest

from tenfold.retention.limits import KeepLimits, RunAge, beyond, until_it_fits
from tenfold.run.sizes import DiskUse

NOW = 1000.0


def ages(count: int, cluster: str = "c", size: int = 10) -> list[RunAge]:
    """Runs `0`, `1`, …, the newest last, which ended one after another until `NOW`."""
    return [
        RunAge(cluster, str(n), NOW - 100 * (count - 1 - n), DiskUse(plain=size))
        for n in range(count)
    ]


def names(found: list[RunAge]) -> list[str]:
    return [f"{age.cluster}{age.run}" for age in found]


@pytest.mark.parametrize(("keep", "left"), [(0, 4), (1, 3), (3, 1), (4, 0), (5, 0), (7, 0)])
def test_the_newest_runs_of_a_cluster_stay(keep: int, left: int) -> None:
    found = beyond(ages(4), KeepLimits(keep=keep), NOW)
    assert names(found) == ["c0", "c1", "c2", "c3"][:left]


def test_the_number_counts_for_each_cluster() -> None:
    runs = [*ages(3, "a"), *ages(2, "b")]
    assert names(beyond(runs, KeepLimits(keep=1), NOW)) in (["a0", "b0", "a1"], ["b0", "a0", "a1"])


def test_only_runs_that_ended_long_enough_ago_go() -> None:
    assert names(beyond(ages(4), KeepLimits(older_than_s=150), NOW)) == ["c0", "c1"]
    assert names(beyond(ages(4), KeepLimits(keep=3, older_than_s=150), NOW)) == ["c0"]
    assert names(beyond(ages(4), KeepLimits(keep=1, older_than_s=250), NOW)) == ["c0"]


@pytest.mark.parametrize(("most", "gone"), [(40, 0), (39, 1), (30, 1), (15, 3), (0, 4)])
def test_the_oldest_go_until_the_rest_fits(most: int, gone: int) -> None:
    runs = ages(4)
    assert until_it_fits(runs, runs, most) == runs[:gone]


def test_what_cannot_go_counts_for_the_total_size() -> None:
    runs = ages(4)
    assert until_it_fits(runs, runs[2:], 30) == runs[2:3]


def test_a_file_that_two_runs_share_is_freed_with_the_last_of_them() -> None:
    shared = {(1, 2): (50, 2, 1)}
    runs = [
        RunAge("c", "0", 0.0, DiskUse(plain=10, shared=dict(shared))),
        RunAge("c", "1", 1.0, DiskUse(plain=10, shared=dict(shared))),
    ]
    assert runs[0].use.freed == 10
    assert (runs[0].use + runs[1].use).freed == 70
    assert (runs[0].use + runs[1].use).size == 70
    assert until_it_fits(runs, runs, 60) == runs[:1]
    assert until_it_fits(runs, runs, 40) == runs
