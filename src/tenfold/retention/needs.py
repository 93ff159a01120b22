"""What a run is needed for, and what else forbids its removal.

Reads files that tasks could write: no link is followed, and nothing is renamed or written here.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tenfold.bringup.earlier import beats_elsewhere
from tenfold.cells.settling import Settler
from tenfold.checkpoint import manifest
from tenfold.cluster.cell_table import CELLS, traits
from tenfold.run import files
from tenfold.run.planfile import PlanFile
from tenfold.run.resumed import ResumedRun
from tenfold.run.rundir import RunDirectory
from tenfold.run.sizes import DiskUse
from tenfold.run.states import TERMINAL
from tenfold.run.statusfiles import RunStatus

_JUST_NOW_S = 30.0
"""A run without a readable state stays for this long after its last change."""

_settler = Settler(2.0)


def obstacle(run: RunDirectory, use: DiskUse) -> str | None:
    """Why `run` must not be removed, whoever asks for it.

    None if it has ended and belongs to this user. `use` is its disk use.
    """
    try:
        owner = run.path.lstat()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if owner.st_uid != os.geteuid():
        return f"it belongs to {_user(owner.st_uid)}"
    if is_up(run):
        return "it is running"
    if (cell := _remains(run)) is not None:
        return f"its supervisor was killed, and its tasks may still run on {cell}: tenfold down"
    return f"a file system is mounted at {use.mounted}" if use.mounted else None


def is_up(run: RunDirectory) -> bool:
    """Whether the run is up, here or on another host.

    A run whose host or state is not known counts as up for a while after its last change.
    """
    _settler.settle(run)
    if run.alive():
        return True
    status = RunStatus.read(run.status)
    if status is None or status.state is None:
        return time.time() - last_change(run) < _JUST_NOW_S
    return beats_elsewhere(run, status)


def _remains(run: RunDirectory) -> str | None:
    """The cell that may still hold tasks of a run whose supervisor died."""
    status = RunStatus.read(run.status)
    if status is not None and status.state in TERMINAL:
        return None
    cell = PlanFile.of(run.plan).cell
    if "cell" not in files.directories(run.path):
        return None
    if cell is None or cell not in CELLS:
        return "its cell"
    return None if traits(cell).on_this_machine else cell


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def last_change(run: RunDirectory) -> float:
    """When the run last wrote its state, in seconds since 1970."""
    for path in (run.status, run.plan, run.path):
        with contextlib.suppress(OSError):
            return path.lstat().st_mtime
    return 0.0


def last_active(run: RunDirectory) -> float:
    """When the run ended or last wrote its state, in seconds since 1970.

    Of a run without a readable state its name tells when it started.
    """
    status = RunStatus.read(run.status) or RunStatus()
    if told := status.ended or status.updated or status.started:
        return told
    with contextlib.suppress(ValueError):
        begun = datetime.strptime(run.run, "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
        return begun.timestamp()
    return last_change(run)


def source_of(run: RunDirectory) -> str | None:
    """The run-id of the run that `run` resumed, or None."""
    told = ResumedRun.read(run.resumed)
    return told.run if told is not None else None


def has_complete_checkpoint(run: RunDirectory, *, thoroughly: bool) -> bool:
    """Whether the run holds a complete checkpoint of tenfold's.

    `thoroughly` reads all of it; otherwise the sizes of its files have to be right.
    """
    return any(
        _is_complete(own, place, name, thoroughly)
        for own, place in _shelves(run)
        for name in _newest_first(own)
    )


def has_other_checkpoints(run: RunDirectory) -> bool:
    """Whether `checkpoints/` holds files in another format than tenfold's."""
    try:
        home = manifest.open_directory(str(run.shared("checkpoints")))
    except OSError:
        return False
    try:
        for _, directories, names, _ in os.fwalk(".", dir_fd=home):
            directories[:] = [name for name in directories if not _is_ours(name)]
            if names:
                return True
    finally:
        os.close(home)
    return False


def _is_ours(name: str) -> bool:
    """Whether a directory is a checkpoint of tenfold's, complete or not."""
    number, _, step = name.partition("-step-")
    unfinished = name.startswith((manifest.SAVING, manifest.REMOVING))
    return unfinished or (number.isdigit() and bool(step))


def _shelves(run: RunDirectory) -> Iterator[tuple[int, Path]]:
    """The directories of checkpoints in a run, each opened."""
    with contextlib.ExitStack() as stack:
        try:
            home = manifest.open_directory(str(run.shared("checkpoints")))
            stack.callback(os.close, home)
            names = sorted(os.listdir(home))
        except OSError:
            return
        for name in names:
            try:
                own = manifest.open_directory(name, home)
            except OSError:  # a file, or a link
                continue
            stack.callback(os.close, own)
            yield own, run.shared("checkpoints") / name


def _newest_first(shelf: int) -> list[str]:
    try:
        found = manifest.numbers(shelf)
    except OSError:
        return []
    return sorted(found, key=lambda name: found[name], reverse=True)


def _is_complete(shelf: int, place: Path, name: str, thoroughly: bool) -> bool:
    try:
        manifest.examine(shelf, place, name, thoroughly=thoroughly)
    except (OSError, manifest.DamagedError):
        return False
    return True
