"""Policy: ranks that still run when the others of their group have ended well.

Ranks of a group end together, since each collective needs all of them. One that stays for long
usually hangs in its last lines. It is reported and not stopped: a rank may have work of its own
left, an evaluation for example. Pure: no clock, no file, no process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tenfold.frameworks.ranks import TOGETHER
from tenfold.quantities import duration_text
from tenfold.supervise.state import ClusterState

AFTER_S = 10.0
"""How long after the last rank that ended well the others are reported."""

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
    """Ranks that still run; `ended` others ended well, the last of them at `since`."""

    tasks: tuple[str, ...]
    ended: int
    since: float

    def words(self, now: float) -> str:
        """A sentence without its end: `worker/0 still runs; the other 3 ranks ended well …`."""
        names = ", ".join(self.tasks[:_MOST_NAMES])
        more = len(self.tasks) - _MOST_NAMES
        names += f" and {more} more" if more > 0 else ""
        verb = "still runs" if len(self.tasks) == 1 else "still run"
        others = "the other rank" if self.ended == 1 else f"the other {self.ended} ranks"
        return f"{names} {verb}; {others} ended well {duration_text(now - self.since)} ago"


def lingering(framework: str, ranks: Iterable[Rank], now: float) -> list[Lingering]:
    """What there is to report at `now`, a group each.

    `ranks` are all tasks that are no services. Groups are those of the framework: chief, master
    and worker together, every other job by itself. Without a framework, and beside parameter
    servers, tasks need not end together.
    """
    groups: dict[str, list[Rank]] = {}
    for rank in ranks:
        groups.setdefault("" if rank.job in TOGETHER else rank.job, []).append(rank)
    if framework == "none" or "ps" in groups:
        return []
    return [found for group in groups.values() if (found := _in_group(group, now))]


def _in_group(group: list[Rank], now: float) -> Lingering | None:
    ended = [rank.ended for rank in group if rank.ended is not None]
    running = tuple(rank.task for rank in group if rank.running)
    all_known = len(ended) + len(running) == len(group)
    if not ended or not running or not all_known or now - max(ended) < AFTER_S:
        return None
    return Lingering(running, len(ended), max(ended))


@dataclass(slots=True)
class Lingerers:
    """What was reported so far, so that everything is reported once."""

    _told: set[tuple[tuple[str, ...], float]] = field(default_factory=set)

    def news(self, cluster: ClusterState, now: float) -> list[tuple[str, str]]:
        """Message and hint of each report that is new at `now`."""
        if cluster.stop_since is not None:
            return []
        ranks = [
            Rank(
                name,
                state.task.job,
                state.phase == "running",
                state.ended if state.phase == "succeeded" else None,
            )
            for name, state in cluster.tasks.items()
            if not state.task.service
        ]
        news = []
        for found in lingering(cluster.plan.framework, ranks, now):
            if (found.tasks, found.since) not in self._told:
                self._told.add((found.tasks, found.since))
                hint = f"see where it is: tenfold stacks {cluster.plan.cluster}"
                news.append((found.words(now), hint))
        return news
