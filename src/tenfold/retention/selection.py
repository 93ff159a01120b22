"""What goes, what stays, and why: limits and needs together."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tenfold.retention import limits as by_limits
from tenfold.retention.limits import KeepLimits, RunAge
from tenfold.retention.needs import (
    has_complete_checkpoint,
    has_other_checkpoints,
    last_active,
    obstacle,
    source_of,
)
from tenfold.run.annotations import Annotations
from tenfold.run.rundir import RunDirectory, every
from tenfold.run.sizes import DiskUse, disk_use


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that was selected and stays.

    If it is only `needed`, --force removes it.
    """

    run: RunDirectory
    use: DiskUse
    why: str
    needed: bool = False


@dataclass(slots=True)
class Selection:
    """The runs to remove, oldest first, and those that stay for a reason."""

    removed: list[tuple[RunDirectory, DiskUse]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    @property
    def use(self) -> DiskUse:
        """The disk use of the runs to remove, together."""
        made = DiskUse()
        for _, use in self.removed:
            made += use
        return made


def by_limit(
    runs: Path, cluster: str | None, limits: KeepLimits, keep_tags: Collection[str] = ()
) -> Selection:
    """The runs that are beyond `limits` and that nothing needs.

    They are runs under `runs`, of one cluster or of all. Runs with a tag of `keep_tags` stay.
    """
    everything = list(every(runs, cluster))
    ages = {_key(run): _age(run) for run in everything}
    found = {_key(run): run for run in everything}
    beyond = by_limits.beyond(list(ages.values()), limits, time.time())
    candidates = [found[age.cluster, age.run] for age in beyond]
    candidates = [
        run for run in candidates if not set(keep_tags) & set(Annotations.read_of(run).tags)
    ]
    uses = {key: age.use for key, age in ages.items()}
    chosen = _judged(everything, candidates, uses, force=False)
    if limits.total_bytes is not None:
        removable = [ages[_key(run)] for run, _ in chosen.removed]
        going = by_limits.until_it_fits(list(ages.values()), removable, limits.total_bytes)
        names = {(age.cluster, age.run) for age in going}
        chosen.removed = [pair for pair in chosen.removed if _key(pair[0]) in names]
    return chosen


def by_name(runs: Path, named: Iterable[RunDirectory], *, force: bool) -> Selection:
    """The runs that the user named.

    With `force` also those whose checkpoint is needed.
    """
    candidates = sorted(set(named), key=lambda run: (run.run, run.cluster))
    clusters = {run.cluster for run in candidates}
    everything = [run for cluster in clusters for run in every(runs, cluster)]
    uses = {_key(run): disk_use(run) for run in candidates}
    return _judged(everything, candidates, uses, force=force)


def _key(run: RunDirectory) -> tuple[str, str]:
    return run.cluster, run.run


def _age(run: RunDirectory) -> RunAge:
    return RunAge(run.cluster, run.run, last_active(run), disk_use(run))


def _judged(
    everything: list[RunDirectory],
    candidates: list[RunDirectory],
    uses: dict[tuple[str, str], DiskUse],
    *,
    force: bool,
) -> Selection:
    """Divide the candidates into those that can go and those that stay."""
    why = {run: reason for run in candidates if (reason := obstacle(run, uses[_key(run)]))}
    needed = {} if force else _needed(everything, [run for run in candidates if run not in why])
    made = Selection()
    for run in candidates:
        use = uses[_key(run)]
        if reason := why.get(run) or needed.get(run):
            made.kept.append(Kept(run, use, reason, needed=run in needed))
        else:
            made.removed.append((run, use))
    return made


def _needed(everything: list[RunDirectory], going: list[RunDirectory]) -> dict[RunDirectory, str]:
    """Of the runs that are to go, those whose checkpoint is the last one, and why."""
    needed: dict[RunDirectory, str] = {}
    for cluster in {run.cluster for run in going}:
        own = sorted(
            (run for run in everything if run.cluster == cluster), key=lambda r: r.run, reverse=True
        )
        candidates = {run for run in going if run.cluster == cluster}
        needed |= _last_checkpoints(own, candidates)
        needed |= _sources(own, candidates - needed.keys())
    return needed


def _last_checkpoints(
    newest_first: list[RunDirectory], going: set[RunDirectory]
) -> dict[RunDirectory, str]:
    """The run with the newest complete checkpoint, which the next `up` would resume.

    Also the newest run with checkpoints that a script wrote in its own format.
    """
    cluster = newest_first[0].cluster
    found: dict[RunDirectory, str] = {}
    if any(has_complete_checkpoint(run, thoroughly=False) for run in going):
        last = next((r for r in newest_first if has_complete_checkpoint(r, thoroughly=True)), None)
        if last in going and last is not None:
            found[last] = f"it has the newest complete checkpoint of {cluster}"
    if any(has_other_checkpoints(run) for run in going):
        last = next((run for run in newest_first if has_other_checkpoints(run)), None)
        if last in going and last is not None:
            found.setdefault(last, f"it has the newest files in checkpoints/ of {cluster}")
    return found


def _sources(own: list[RunDirectory], going: set[RunDirectory]) -> dict[RunDirectory, str]:
    """Runs that a run which stays has resumed, and whose checkpoint that run has lost."""
    by_id = {run.run: run for run in own}
    found: dict[RunDirectory, str] = {}
    pending = [run for run in own if run not in going]
    while pending:
        run = pending.pop()
        source = by_id.get(source_of(run) or "")
        if source is None or source not in going or source in found:
            continue
        held = has_complete_checkpoint(source, thoroughly=False)
        if held and not has_complete_checkpoint(run, thoroughly=False):
            found[source] = f"{run.run} resumed from it and has no checkpoint of its own"
            pending.append(source)
    return found
