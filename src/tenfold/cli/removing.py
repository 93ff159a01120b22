"""What `tenfold prune` and `tenfold rm` share: list, question, removal."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from tenfold.base.quantities import bytes_text
from tenfold.cli.common import err, print_json
from tenfold.errors import InputError, TenfoldError, printable
from tenfold.retention.removal import delete, leftovers, put_away
from tenfold.retention.selection import Kept, Selection, by_name
from tenfold.run.rundir import RunDirectory
from tenfold.run.sizes import DiskUse


@dataclass(slots=True)
class Removal:
    """What a command removed, what stayed and why, and what could not be deleted."""

    removed: list[tuple[RunDirectory, DiskUse]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    swept: int = 0
    failed: list[str] = field(default_factory=list)


def remove(
    runs: Path,
    chosen: Selection,
    *,
    force: bool = False,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Show the selection, ask, and remove it. Returns the exit code.

    Whether a run is needed is looked up again when no run of its cluster can be starting. With
    `force` its checkpoint does not count.
    """
    if not as_json:
        _show(chosen)
    done = Removal(kept=chosen.kept)
    if dry_run:
        done.removed = chosen.removed
    elif chosen.removed and not _agreed(chosen, yes):
        err().print("nothing was removed")
        return 1
    else:
        _carry_out(runs, chosen, force, done)
    if as_json:
        print_json(_answer(done, dry_run))
    else:
        _conclude(done, dry_run)
    return 1 if done.failed else 0


def _agreed(chosen: Selection, yes: bool) -> bool:
    if yes:
        return True
    count, freed = len(chosen.removed), bytes_text(chosen.use.freed)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"this would remove {_runs(count)} and free {freed}",
            hint="without a terminal nobody can be asked: add -y, or --dry-run to only look",
        )
    return click.confirm(f"Remove {_runs(count)} and free {freed}?", err=True)


def _carry_out(runs: Path, chosen: Selection, force: bool, done: Removal) -> None:
    uses = dict(chosen.removed)

    def still(own: list[RunDirectory]) -> set[RunDirectory]:
        return {run for run, _ in by_name(runs, own, force=force).removed}

    away: list[Path] = []
    for run, found in put_away(runs, uses, still):
        if isinstance(found, str):
            done.kept.append(Kept(run, uses[run], found))
        else:
            done.removed.append((run, uses[run]))
            away.append(found)
    interrupted = [path for path in leftovers(runs) if path not in away]
    for path in (*away, *interrupted):
        try:
            delete(path)
            done.swept += path in interrupted
        except TenfoldError as error:
            done.failed.append(f"{error.message} ({error.hint})")


def _show(chosen: Selection) -> None:
    from tenfold.views.table import show_table

    rows = [_row(run, use, f"frees {bytes_text(use.freed)}") for run, use in chosen.removed]
    rows += [_row(one.run, one.use, f"stays: {one.why}") for one in chosen.kept]
    if rows:
        show_table(err(), ["RUN", "STATE", "STARTED", "SIZE", ""], rows)


def _row(run: RunDirectory, use: DiskUse, words: str) -> list[str]:
    from tenfold.views.runlist import start_text
    from tenfold.views.status import status

    shown = status(run)
    began = start_text(shown.started) if shown.started else ""
    state = shown.state or "unknown"
    return [f"{run.cluster}/{run.run}", state, began, bytes_text(use.size), words]


def _conclude(done: Removal, dry_run: bool) -> None:
    count, freed = _runs(len(done.removed)), bytes_text(_together(done).freed)
    if not done.removed:
        words = "no run can be removed" if done.kept else "no run is beyond the limits"
    elif dry_run:
        words = f"would remove {count} and free {freed}"
    else:
        words = f"removed {count} and freed {freed}"
    if done.swept:
        words += f"; deleted what an interrupted removal had left of {_runs(done.swept)}"
    err().print(words)
    for words in done.failed:
        err().print(err().paint(printable(words), "yellow"))


def _together(done: Removal) -> DiskUse:
    made = DiskUse()
    for _, use in done.removed:
        made += use
    return made


def _answer(done: Removal, dry_run: bool) -> dict[str, Any]:
    together = _together(done)
    return {
        "version": 1,
        "dry_run": dry_run,
        "removed": [_told(run, use) for run, use in done.removed],
        "kept": [_told(one.run, one.use) | {"reason": one.why} for one in done.kept],
        "size": together.size,
        "freed": together.freed,
        "swept": done.swept,
        "failed": done.failed,
    }


def _told(run: RunDirectory, use: DiskUse) -> dict[str, Any]:
    return {
        "cluster": run.cluster,
        "run": run.run,
        "directory": str(run.path),
        "size": use.size,
        "freed": use.freed,
    }


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
