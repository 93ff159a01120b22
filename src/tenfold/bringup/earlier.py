"""Read the files of a cluster's earlier runs, however those runs ended.

Owns reading those runs with care: they are over, and their tasks wrote in their directories what
they liked. So no link is followed, nothing is unpickled, and what cannot be read is named and set
aside. Which of them a new run goes on with is `tenfold.bringup.resume`'s.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold import cells
from tenfold.cells.settling import Settler
from tenfold.checkpoint import Checkpoint, manifest
from tenfold.errors import InputError, TenfoldError
from tenfold.planning.plan import Plan
from tenfold.run import files, records
from tenfold.run.eventlog import read_events
from tenfold.run.resumed import SetAside
from tenfold.run.rundir import RunDirectory, every
from tenfold.run.states import TERMINAL, State
from tenfold.run.statusfiles import RunStatus

FRESH = "fresh"
"""A file in the directory of a run that was to begin anew.

No run resumes an earlier one than this.
"""


@dataclass(slots=True)
class Notes:
    """Findings about earlier runs.

    `broken_off` is the newest run, if its supervisor died.
    """

    said: list[str] = field(default_factory=list)
    aside: list[SetAside] = field(default_factory=list)
    broken_off: RunDirectory | None = None

    def damaged(self, was: Path, now: Path | None, damage: str) -> None:
        """Note a damaged file or checkpoint. `now` is its new path, if any."""
        if now is None:
            self.said.append(f"{was} is skipped: {damage}")
            return
        self.said.append(f"{was} is damaged ({damage}): renamed to {now.name}")
        self.aside.append(SetAside(str(was), str(now)))


@dataclass(slots=True)
class Earlier:
    """What the files of an earlier run contain.

    `up`: it is not over. `ended`: when, in seconds since 1970, as far as that is known. `plan` is
    None where it cannot be read.
    """

    run: RunDirectory
    up: bool = False
    state: str | None = None
    ended: float | None = None
    plan: Plan | None = None
    fresh: bool = False
    checkpoints: tuple[tuple[str, Checkpoint], ...] = ()

    @property
    def died(self) -> bool:
        """Whether its supervisor ended before it could record how the run ended."""
        return not self.up and self.state not in TERMINAL

    def closed(self) -> str | None:
        """Why neither this run nor earlier ones may be resumed, or None."""
        if self.up:
            return f"{self.run.run} is still running"
        return f"{self.run.run} succeeded" if self.state == State.SUCCEEDED else None

    def saves(self) -> bool:
        """Whether it has anything in `checkpoints`, whole or not."""
        return bool(files.names(self.run.shared("checkpoints")))

    def end_remains(self, cell: str, notes: Notes) -> None:
        """End the processes that a killed supervisor has left on its cell.

        They would continue the training.
        """
        with contextlib.suppress(TenfoldError):  # a cell that does not answer
            if left := cells.client(cell).sweep(self.run):
                notes.said.append(f"removed the remains of {self.run.run}: {', '.join(left)}")
        for task in self.run.tasks():
            _read(task.status, notes)

    def find_checkpoints(self, notes: Notes) -> None:
        """Find the whole checkpoints."""
        self.checkpoints = _whole_checkpoints(self.run, notes)


_settler = Settler(2.0)

_BEAT_S = 3.0
"""Seconds in which a supervisor that lives writes status.json.

It writes once a second (`supervise.statuses.HEARTBEAT_S`).
"""


def newest_first(runs: Path, cluster: str, notes: Notes) -> Iterator[Earlier]:
    """The cluster's runs, newest first. Each is read when it is requested."""
    for run in sorted(every(runs, cluster), key=lambda run: run.run, reverse=True):
        _settler.settle(run)
        read = None if run.alive() else _read(run.status, notes)
        status = None if read is None else RunStatus.from_json(read)
        if run.alive() or beats_elsewhere(run, status):
            yield Earlier(run, up=True)
            continue
        yield Earlier(
            run,
            state=_told_by_events(run) if status is None else status.state,
            ended=None if status is None else status.ended or status.updated,
            plan=_plan(run, notes),
            fresh=files.exists(run.path / FRESH),
        )


def beats_elsewhere(run: RunDirectory, status: RunStatus | None) -> bool:
    """Whether a supervisor on another host still writes.

    Its lock cannot be seen here.
    """
    if status is None or status.state in TERMINAL:
        return False
    if status.host in (None, socket.gethostname()):
        return False
    deadline = time.monotonic() + _BEAT_S
    while time.monotonic() < deadline:
        time.sleep(0.05)
        now = RunStatus.read(run.status)
        if now is not None and now.updated != status.updated:
            return True
    return False


def _plan(run: RunDirectory, notes: Notes) -> Plan | None:
    told = _read(run.plan, notes)
    if told is None:
        notes.said.append(f"{run.run} has no readable plan: skipped")
        return None
    try:
        return Plan.from_json(told)
    except InputError as error:
        notes.said.append(f"{run.plan}: {error.message}: {run.run} is skipped")
        return None


def _told_by_events(run: RunDirectory) -> str | None:
    """The end in events.jsonl, for a status.json that does not contain it."""
    events, _ = read_events(run.events)
    ends = {f"cluster-{state}": state for state in TERMINAL}
    told = (ends.get(event.kind) for event in reversed(events))
    return next((state for state in told if state), None)


def _read(path: Path, notes: Notes) -> dict[str, Any] | None:
    """The object in a file of a run that is over, or None.

    A damaged file is set aside.
    """
    try:
        return records.typed(records.parse(files.read_whole(path)), records.shape_of(path))[0]
    except FileNotFoundError:
        return None
    except OSError as error:  # a link, say: not ours to move
        notes.said.append(f"{path} cannot be read: {error.strerror or error}")
        return None
    except ValueError as error:
        damage = str(error)
    there = path.with_name(path.name + manifest.DAMAGED)
    with contextlib.suppress(OSError):
        files.rename(path, there.name)
        notes.damaged(path, there, damage)
    return None


def _whole_checkpoints(run: RunDirectory, notes: Notes) -> tuple[tuple[str, Checkpoint], ...]:
    """The newest whole checkpoint of each name in the run, latest first."""
    found: list[tuple[str, Checkpoint]] = []
    with contextlib.ExitStack() as stack:
        try:
            home = manifest.open_directory(str(run.shared("checkpoints")))
            stack.callback(os.close, home)
            names = sorted(os.listdir(home))
        except OSError:
            return ()
        for name in names:
            with contextlib.suppress(OSError):  # no directory, or a link to one
                own = manifest.open_directory(name, home)
                stack.callback(os.close, own)
                at = run.shared("checkpoints") / name
                newest = manifest.newest(own, at, notes.damaged)
                if newest is not None:
                    found.append((name, newest))
    return tuple(sorted(found, key=lambda named: named[1].time, reverse=True))
