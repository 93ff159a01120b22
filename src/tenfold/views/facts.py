"""Facts about how a run did, from its run directory.

The directory is read once, whatever is missing or damaged.

Owns the reading. What follows from it is `why`'s and `troubles`'.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tenfold.base.naming import label_of
from tenfold.checkpoint import manifest
from tenfold.run import files
from tenfold.run.eventlog import Event, read_events
from tenfold.run.hangs import HangRecord, recorded_hangs
from tenfold.run.jsonfiles import Problems
from tenfold.run.logs import last_lines
from tenfold.run.planfile import PlanFile
from tenfold.run.rundir import RunDirectory, TaskDirectory
from tenfold.run.statusfiles import RunStatus, TaskStatus
from tenfold.run.unsaved import UnsavedCheckpoint
from tenfold.views.status import RunView
from tenfold.views.status import status as read_status

_Read = TypeVar("_Read")

LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that matches its manifest, as far as sizes show.

    `name` is relative to the run's `checkpoints`.
    """

    name: str
    path: str
    step: int
    time: float


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a run: bytes, and whether a new file can be created."""

    free: int
    total: int
    files_left: bool = True


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All facts about a run.

    Attributes:
        status: the state of the run, as `ps` shows it.
        said: status.json, without any value if it cannot be read.
        plan: the readable part of plan.json.
        events: in order.
        tasks: by name, each task's own status.json.
        unsaved: by task, why its last checkpoint could not be saved.
        checkpoint: the newest one; `bad_checkpoints` are those that are not whole.
        hangs: the reports and their files, the oldest first.
        supervisor_said: the last lines of supervisor.log.
    """

    run: RunDirectory
    status: RunView
    said: RunStatus = field(default_factory=RunStatus)
    plan: PlanFile = field(default_factory=PlanFile)
    events: tuple[Event, ...] = ()
    tasks: Mapping[str, TaskStatus] = field(default_factory=dict)
    unsaved: Mapping[str, UnsavedCheckpoint] = field(default_factory=dict)
    checkpoint: Saved | None = None
    bad_checkpoints: Mapping[str, str] = field(default_factory=dict)
    disk: Disk | None = None
    hangs: tuple[tuple[Path, HangRecord], ...] = ()
    supervisor_said: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.status.cluster

    @property
    def has_status(self) -> bool:
        """Whether status.json says anything."""
        return self.said != RunStatus()

    def of_kind(self, *kinds: str) -> list[Event]:
        """Events of the given kinds, in order."""
        return [event for event in self.events if event.kind in kinds]

    def lines_of(self, task: str) -> list[str]:
        """The last lines of a task."""
        with contextlib.suppress(OSError, ValueError):
            return last_lines(self.run.task(label_of(task)), LAST_LINES)
        return []


def read_facts(run: RunDirectory) -> RunFacts:
    """Read a run directory. Its contents never cause a failure."""
    problems = Problems()
    status = read_status(run, problems)
    events, _ = read_events(run.events, problems)
    saved, bad = _checkpoints(run.shared("checkpoints"))
    return RunFacts(
        run=run,
        status=status,
        said=RunStatus.read(run.status) or RunStatus(),
        plan=PlanFile.of(run.plan),
        events=tuple(events),
        tasks=_each(run, status, lambda task: TaskStatus.read(task.status)),
        unsaved=_each(run, status, lambda task: UnsavedCheckpoint.read(task.unsaved)),
        checkpoint=saved,
        bad_checkpoints=bad,
        disk=_disk(run.path),
        hangs=recorded_hangs(run),
        supervisor_said=_log(run.supervisor_log),
        damaged={str(path): what for path, what in problems.found.items()},
    )


def _each(
    run: RunDirectory, status: RunView, read: Callable[[TaskDirectory], _Read | None]
) -> dict[str, _Read]:
    """One file of each task that has it."""
    names = [task.task for task in status.tasks]
    said = ((name, read(run.task(label_of(name)))) for name in names)
    return {name: one for name, one in said if one is not None}


def _checkpoints(home: Path) -> tuple[Saved | None, dict[str, str]]:
    """The newest checkpoint below `home`, and those that are damaged.

    The time is the one in the manifest.
    """
    newest: Saved | None = None
    bad: dict[str, str] = {}
    for name in _names(home):
        path = home / name
        try:
            directory = manifest.open_directory(str(path))
        except OSError:
            continue
        try:
            found = manifest.numbers(directory)
            for one in sorted(found, key=lambda one: found[one], reverse=True):
                try:
                    whole = manifest.examine(directory, path, one, thoroughly=False)
                except (OSError, manifest.DamagedError) as error:
                    bad[str(path / one)] = str(error)
                    continue
                if newest is None or whole.time > newest.time:
                    newest = Saved(f"{name}/{one}", str(path / one), whole.step, whole.time)
                break
            bad |= {str(path / one): "was set aside" for one in _aside(directory)}
        finally:
            os.close(directory)
    return newest, bad


def _aside(directory: int) -> list[str]:
    return list(manifest.numbers(directory, damaged=True))


def _names(path: Path) -> list[str]:
    return files.directories(path) if path.name in files.directories(path.parent) else []


def _disk(path: Path) -> Disk | None:
    with contextlib.suppress(OSError):
        found = os.statvfs(path)
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        return Disk(free, total, found.f_files == 0 or found.f_favail > 0)
    return None


def _log(path: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        text = files.read_end(path, 16_384).decode(errors="replace")
        return tuple(text.splitlines()[-LAST_LINES:])
    return ()
