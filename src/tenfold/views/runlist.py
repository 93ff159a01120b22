"""Many runs, one line each: `tenfold ps --all`, and lists to choose from."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tenfold.base.quantities import bytes_text, duration_text
from tenfold.errors import printable
from tenfold.run.annotations import Annotations
from tenfold.run.rundir import RunDirectory
from tenfold.run.sizes import size_of_run
from tenfold.views.because import because
from tenfold.views.status import RunView, status
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import STATE_COLOURS, Terminal

_NOTE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run in a list: its state, its size in bytes, its tags and its note."""

    view: RunView
    size: int
    annotations: Annotations

    def to_json(self) -> dict[str, Any]:
        """The shape of a run in `ps --all --json`."""
        shown = self.view.head()
        told = {name: shown[name] for name in _FIELDS}
        return told | {"size": self.size} | self.annotations.shown()


_FIELDS = ("version", "cluster", "run", "directory", "cell", "state", "reason", "started", "ended")


def listed(run: RunDirectory) -> ListedRun:
    """A run as a list shows it, now."""
    size = size_of_run(run, over=not run.alive())
    return ListedRun(status(run), size, Annotations.read_of(run))


def has_tags(run: RunDirectory, wanted: Collection[str]) -> bool:
    """Whether the run has all of these tags."""
    return not wanted or set(wanted) <= set(Annotations.read_of(run).tags)


def line_of(run: RunDirectory) -> str:
    """A run in a line, for a list to choose from: name, state, start, tags and note."""
    shown, annotations = status(run), Annotations.read_of(run)
    parts = [f"{run.cluster}/{run.run}", shown.state or "unknown"]
    if shown.started:
        parts.append(f"started {start_text(shown.started)}")
    parts += [", ".join(annotations.tags), _first_line(annotations.note)]
    return printable("  ".join(part for part in parts if part))


def show_runs(out: Terminal, runs: Sequence[ListedRun]) -> None:
    """Print one line per run, oldest first. Columns without any entry are left out."""
    columns = [("CLUSTER", _cluster), ("RUN", _run), ("STATE", _state), ("STARTED", _started),
               ("TOOK", _took), ("SIZE", _size), ("TAGS", _tags), ("NOTE", _note)]  # fmt: skip
    kept = [
        (title, of)
        for title, of in columns
        if title not in ("TAGS", "NOTE") or any(of(run) for run in runs)
    ]
    rows = [[*(of(run) for _, of in kept), printable(because(run.view))] for run in runs]
    show_table(out, [*(title for title, _ in kept), "WHY"], rows)


def start_text(moment: float) -> str:
    """A time on the clock of this machine: `2026-11-29 16:13`."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def _cluster(run: ListedRun) -> Cell:
    return run.view.cluster


def _run(run: ListedRun) -> Cell:
    return run.view.run


def _state(run: ListedRun) -> Cell:
    state = run.view.state or "unknown"
    return (state, STATE_COLOURS.get(state, ""))


def _started(run: ListedRun) -> Cell:
    return start_text(run.view.started) if run.view.started else ""


def _took(run: ListedRun) -> Cell:
    end = run.view.ended or run.view.seen or time.time()
    return duration_text(end - run.view.started) if run.view.started else ""


def _size(run: ListedRun) -> Cell:
    return bytes_text(run.size)


def _tags(run: ListedRun) -> Cell:
    return ", ".join(run.annotations.tags)


def _note(run: ListedRun) -> Cell:
    return _first_line(run.annotations.note)


def _first_line(note: str) -> str:
    first, _, rest = note.partition("\n")
    cut = len(first) > _NOTE_CHARACTERS
    return first[: _NOTE_CHARACTERS - 1] + "…" if cut else first + (" …" if rest else "")
