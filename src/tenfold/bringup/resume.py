"""Resume an earlier run of the cluster: which one, whether, and from where.

Owns the decision, and the hand-over: the newest whole checkpoints, linked into the new run's
`checkpoints`, and `resumed.json`, which says what was handed over (`supervise.past` reads it).
Reading earlier runs is `earlier`'s, what makes a checkpoint whole `tenfold.checkpoint`'s; taking
it up is the script's.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tenfold.base.quantities import duration_text
from tenfold.bringup.earlier import FRESH, Earlier, Notes, newest_first
from tenfold.checkpoint import Checkpoint, manifest
from tenfold.errors import InputError, TenfoldError
from tenfold.planning.plan import Plan, Task
from tenfold.run.files import open_regular
from tenfold.run.resumed import ResumedRun, SetAside
from tenfold.run.rundir import RunDirectory
from tenfold.supervise import past

Wish = Literal["auto", "yes", "no"]
WISHES: tuple[Wish, ...] = ("auto", "yes", "no")
"""`auto` resumes the same training, `yes` always resumes, and `no` never.

With `yes`, a run is resumed even if its command has changed.
"""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a new run takes over from an earlier one, with notes for people.

    Attributes:
        earlier: the run that is gone on with; None begins anew.
        checkpoints: the newest whole one of each name, the latest first.
        ended: when the earlier run ended, in seconds since 1970, if that is known.
        retried: by task, when it was started again after failures, if its supervisor died.
        notes: for people, in sentences.
        aside: damaged files that were set aside.
        fresh: it was asked for.
    """

    earlier: RunDirectory | None = None
    checkpoints: tuple[tuple[str, Checkpoint], ...] = ()
    ended: float | None = None
    retried: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    aside: tuple[SetAside, ...] = ()
    fresh: bool = False

    def hand_over(self, run: RunDirectory) -> None:
        """Put what a run resumes into its directory, before the run begins.

        Raises TenfoldError when that cannot be done.
        """
        try:
            if self.fresh:
                (run.path / FRESH).touch(mode=0o600)
            for name, checkpoint in self.checkpoints:
                _hand_over(checkpoint, run.shared("checkpoints") / name)
            if self.earlier is not None:
                self._record(self.earlier).write(run.resumed)
        except OSError as error:
            raise TenfoldError(
                f"cannot link the checkpoint of {self.earlier and self.earlier.run}:"
                f" {error.strerror or error}",
                hint="--fresh ignores checkpoints",
                cause=error,
            ) from error

    def _record(self, earlier: RunDirectory) -> ResumedRun:
        name, latest = self.checkpoints[0] if self.checkpoints else (None, None)
        return ResumedRun(
            run=earlier.run,
            checkpoint=f"{name}/{latest.path.name}" if latest else None,
            step=latest.step if latest else None,
            saved=latest.time if latest else None,
            ended=self.ended,
            retried=self.retried,
            set_aside=self.aside,
        )


def decide(runs: Path, plan: Plan, wish: Wish = "auto") -> Resumption:
    """Decide which earlier run the new one resumes, if any.

    It is a run of the plan's cluster under `runs`.

    The newest that did not end well, is over, and left a whole checkpoint; one that is up, or ended
    well, or began anew on request ends the search, and so does a training that has changed, unless
    `wish` is `yes`. Damaged files of runs that are over are set aside, and what a killed supervisor
    left on its cell (containers, a batch job) is ended before its checkpoints are looked at.

    Raises InputError if `wish` is `yes` and there is nothing to go on with, or is no wish.
    """
    if wish not in WISHES:
        raise InputError(f"invalid value for resume: {wish} (use {', '.join(WISHES)})")
    if wish == "no":
        return Resumption(fresh=True)
    notes = Notes()
    shown = Plan.from_json(plan.to_json())  # as files show it, without secrets
    chosen, why = _choose(newest_first(runs, plan.cluster, notes), shown, wish, notes)
    if chosen is None and wish == "yes":
        raise InputError(f"there is nothing to resume: {why}", hint="remove --resume")
    retried = past.retried(notes.broken_off) if notes.broken_off else {}
    retried = {task: moments for task, moments in retried.items() if moments}
    if chosen is not None:
        notes.said.append(_words(chosen))
    elif notes.broken_off and retried:
        notes.said.append(
            f"{notes.broken_off.run} was interrupted and left no checkpoint of tenfold;"
            " its used restarts still count (--fresh resets them)"
        )
    return Resumption(
        chosen.run if chosen else notes.broken_off if retried else None,
        chosen.checkpoints if chosen else (),
        chosen.ended if chosen else None,
        retried,
        tuple(notes.said),
        tuple(notes.aside),
    )


def _choose(
    formers: Iterable[Earlier], plan: Plan, wish: Wish, notes: Notes
) -> tuple[Earlier | None, str]:
    """The run to resume, of runs ordered from the newest.

    Without one, the reason is returned.
    """
    considered = False
    for former in formers:
        if (end := former.closed()) is not None:
            if former.up and former.saves():
                notes.said.append(f"starts from the beginning: {end}")
            return None, end
        if former.plan is None:
            continue
        changed = difference(former.plan, plan)
        if former.died and (not changed or wish == "yes"):
            former.end_remains(former.plan.cell, notes)
        former.find_checkpoints(notes)
        if changed and wish != "yes":
            if former.checkpoints:
                notes.said.append(
                    f"starts from the beginning: {changed} since {former.run.run};"
                    " --resume resumes anyway"
                )
            return None, changed
        if former.died and not considered:
            notes.broken_off = former.run
        considered = True
        if former.checkpoints:
            return former, ""
        if former.fresh:
            return None, f"{former.run.run} was started with --fresh and left no checkpoint"
    return None, f"no run of {plan.cluster} has left a complete checkpoint of tenfold.checkpoint"


def difference(before: Plan, now: Plan) -> str | None:
    """Why `now` is a different training than `before`, or None if it is not.

    The framework, and the commands of the jobs that decide about success. How many tasks there are
    may differ, and so may everything else.
    """
    if before.framework != now.framework:
        return "the framework has changed"
    earlier, jobs = before.jobs(), now.jobs()
    for job in now.success:
        if job in jobs and (job not in earlier or _command(earlier, job) != _command(jobs, job)):
            return f"the command of {job} has changed"
    return None


def _command(jobs: Mapping[str, tuple[Task, ...]], job: str) -> list[str]:
    """The command of the job's first task."""
    return list(jobs[job][0].command)


def _words(former: Earlier) -> str:
    _, latest = former.checkpoints[0]
    if former.ended is None:
        before = ""
    elif former.ended > latest.time:
        before = f", saved {duration_text(former.ended - latest.time)} before it ended"
    else:  # after the last heartbeat of a supervisor that was killed
        before = ", saved just before it ended"
    return (
        f"resumes from {former.run.run}: checkpoint of step {latest.step}{before}"
        " (--fresh ignores checkpoints)"
    )


def _hand_over(checkpoint: Checkpoint, shelf: Path) -> None:
    """Link a checkpoint into `shelf`, or copy it if linking fails.

    It is there whole or not at all.
    """
    shelf.mkdir(mode=0o700, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=manifest.SAVING, dir=shelf))
    try:
        for file in (*checkpoint.files, manifest.MANIFEST):
            there = beside / file
            there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _link(checkpoint.path / file, there)
        beside.rename(shelf / checkpoint.path.name)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _link(file: Path, there: Path) -> None:
    """Link a regular file to `there`, or copy it.

    A link keeps its mode and owner. A copy is ours, with mode 0600.
    """
    try:
        os.link(file, there, follow_symlinks=False)
    except OSError:  # another device, or somebody else's file
        _copy(file, there)
    if not stat.S_ISREG(there.lstat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(file))


def _copy(file: Path, there: Path) -> None:
    made = os.open(there, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open_regular(file) as source, os.fdopen(made, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(made)
