"""Remove run directories: rename them away, then delete them.

After the rename no command finds the run, so it is there whole or not at all. A removal that is
interrupted leaves `.removing-…`, which the next removal deletes. No link is followed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory
from tenfold.run.turns import NoTurnError, turn

REMOVING = ".removing-"
_TURN_S = 10.0


def put_away(
    runs: Path,
    chosen: Iterable[RunDirectory],
    still: Callable[[list[RunDirectory]], set[RunDirectory]],
) -> Iterator[tuple[RunDirectory, Path | str]]:
    """Rename `chosen` away, one cluster after another.

    While the runs of a cluster are renamed, nobody starts a run of it.

    `still` says which of these runs may go. It is asked when no run can be starting.
    Yields each run with its new path, or with the reason why it stays.
    """
    by_cluster: dict[str, list[RunDirectory]] = {}
    for run in chosen:
        by_cluster.setdefault(run.cluster, []).append(run)
    for cluster, own in by_cluster.items():
        try:
            with turn(runs, cluster, wait_s=_TURN_S, needed=True):
                going = still(own)
                done = [(run, _renamed(run) if run in going else _CHANGED) for run in own]
        except NoTurnError as error:
            done = [(run, error.message) for run in own]
        yield from done


_CHANGED = "it is needed by now"


def _renamed(run: RunDirectory) -> Path | str:
    away = run.path.with_name(f"{REMOVING}{run.run}-{os.urandom(4).hex()}")
    try:
        run.path.rename(away)
    except OSError as error:
        return f"it cannot be renamed: {error.strerror or error}"
    return away


def leftovers(runs: Path) -> list[Path]:
    """Run directories whose removal was interrupted. Only those of this user."""
    found = []
    for cluster in _directories(runs.resolve()):
        found += [path for path in _directories(cluster) if path.name.startswith(REMOVING)]
    return [path for path in found if path.lstat().st_uid == os.geteuid()]


def _directories(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False))
    except OSError:
        return []


def delete(path: Path) -> None:
    """Delete a directory that was renamed away.

    The directory of the cluster goes, too, if it is empty.

    Raises TenfoldError if something of it remains.
    """
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        _make_writable(path)
        failures: list[str] = []
        shutil.rmtree(path, onerror=lambda _, name, error: failures.append(f"{name}: {error[1]}"))
        if os.path.lexists(path):
            raise TenfoldError(
                f"cannot remove all of {path}: {failures[0] if failures else 'it is still there'}",
                hint=f"remove it with the rights of its owner: sudo rm -r {path}",
            )
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _make_writable(path: Path) -> None:
    """Let this user list and change every directory below `path` that is its own."""
    pending = [path]
    while pending:
        here = pending.pop()
        with contextlib.suppress(OSError):
            found = here.lstat()
            if stat.S_ISDIR(found.st_mode):
                here.chmod(stat.S_IMODE(found.st_mode) | stat.S_IRWXU)
        pending += _directories(here)
