"""Policy: ranks that still run after the other ranks have ended well.

Ranks of a group end together, since each collective needs all of them. One that stays for long
usually hangs in its last lines. It is reported and not stopped: a rank may have work of its own
left, an evaluation for example. Pure: no clock, no file, no process.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from tenfold.base.quantities import duration_text
from tenfold.frameworks import Framework, framework
from tenfold.frameworks.ranks import TOGETHER
from tenfold.run.states import State
from tenfold.supervise.state import ClusterState

AFTER_S = 10.0
"""Seconds from the last rank that ended well until the others are reported."""

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Rank:
    """A task of a group of ranks; `ended` is when it ended well (seconds since 1970)."""

    task: str
    job: str
    running: bool
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Lingering:
    """Ranks that still run.

    `ended` others ended well, the last of them at `since`.
    """

    tasks: tuple[str, ...]
    ended: int
    since: float

    @property
    def key(self) -> Hashable:
        """A key that distinguishes this report from earlier ones."""
        return self.tasks, self.since

    def words(self, now: float) -> str:
        """A sentence without its end.

        For example `worker/0 still runs; the other 3 ranks ended well …`.
        """
        names = ", ".join(self.tasks[:_MOST_NAMES])
        more = len(self.tasks) - _MOST_NAMES
        names += f" and {more} more" if more > 0 else ""
        verb = "still runs" if len(self.tasks) == 1 else "still run"
        others = "the other rank" if self.ended == 1 else f"the other {self.ended} ranks"
        return f"{names} {verb}; {others} finished {duration_text(now - self.since)} ago"


def lingering(frame: Framework, ranks: Iterable[Rank], now: float) -> list[Lingering]:
    """What to report at `now`, one report per group.

    `ranks` are all tasks that are no services. Groups are those of the framework: chief, master
    and worker together, every other job by itself. Without a framework, and beside parameter
    servers, tasks need not end together.
    """
    groups: dict[str, list[Rank]] = {}
    for rank in ranks:
        groups.setdefault("" if rank.job in TOGETHER else rank.job, []).append(rank)
    if not frame.ends_together(groups):
        return []
    return [found for group in groups.values() if (found := _in_group(group, now))]


def _in_group(group: list[Rank], now: float) -> Lingering | None:
    ended = [rank.ended for rank in group if rank.ended is not None]
    running = tuple(rank.task for rank in group if rank.running)
    all_known = len(ended) + len(running) == len(group)
    if not ended or not running or not all_known or now - max(ended) < AFTER_S:
        return None
    return Lingering(running, len(ended), max(ended))


def unreported(cluster: ClusterState, now: float) -> list[Lingering]:
    """What to report of a run at `now` that was not reported yet."""
    ranks = [
        Rank(
            name,
            state.task.job,
            state.phase == State.RUNNING,
            state.ended if state.phase == State.SUCCEEDED else None,
        )
        for name, state in cluster.tasks.items()
        if not state.task.service
    ]
    found = lingering(framework(cluster.plan.framework), ranks, now)
    return [one for one in found if one.key not in cluster.lingering]
