"""Which runs the user's limits select: a number, an age, a total size. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenfold.run.sizes import DiskUse


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """What `tenfold prune` keeps. A limit that is None has no effect.

    Attributes:
        keep: this many of the newest runs of each cluster stay.
        older_than_s: only runs that ended longer ago than this go.
        total_bytes: runs go, oldest first, only until the rest fits into this size.
    """

    keep: int | None = None
    older_than_s: float | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class RunAge:
    """A run as the limits see it.

    `last` is when it was last active, in seconds since 1970.
    """

    cluster: str
    run: str
    last: float
    use: DiskUse


def beyond(runs: Sequence[RunAge], limits: KeepLimits, now: float) -> list[RunAge]:
    """Those of `runs` that may go by `keep` and `older_than_s`, oldest first.

    `runs` are all runs of these clusters. With both limits a run has to be beyond both.
    """
    found = []
    for cluster in {run.cluster for run in runs}:
        newest_last = sorted((r for r in runs if r.cluster == cluster), key=lambda r: r.run)
        found += newest_last[: max(0, len(newest_last) - (limits.keep or 0))]
    if limits.older_than_s is not None:
        found = [run for run in found if now - run.last > limits.older_than_s]
    return sorted(found, key=lambda run: run.run)


def until_it_fits(
    runs: Sequence[RunAge], removable: Sequence[RunAge], total_bytes: int
) -> list[RunAge]:
    """The first of `removable` whose removal brings all `runs` down to `total_bytes`.

    All of `removable` if that does not suffice.
    """
    size = together(runs, lambda _: True).size
    removed: list[RunAge] = []
    freed = DiskUse()
    for run in removable:
        if size - freed.freed <= total_bytes:
            break
        removed.append(run)
        freed += run.use
    return removed


def together(runs: Sequence[RunAge], wanted: Callable[[RunAge], bool]) -> DiskUse:
    """The disk use of those runs that are `wanted`, together."""
    made = DiskUse()
    for run in runs:
        if wanted(run):
            made += run.use
    return made
