"""Many runs, one line each: `tenfold ps --all`, and lists to choose from."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from tenfold.base.quantities import bytes_text, duration_text
from tenfold.errors import printable
from tenfold.run.annotations import Annotations
from tenfold.run.rundir import Problems, RunDirectory
from tenfold.run.sizes import size_of_run
from tenfold.views.because import because
from tenfold.views.status import status
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import STATE_COLOURS, Terminal

_NOTE_CHARACTERS = 40

FIELDS = ("version", "cluster", "run", "directory", "cell", "state", "reason", "started", "ended",
          "size", "tags", "note")  # fmt: skip
"""The fields of a run in `ps --all --json`."""


def overview(run: RunDirectory) -> dict[str, Any]:
    """The status of a run, with its `size` in bytes, its `tags` and its `note`."""
    problems = Problems()
    shown = status(run, problems)
    annotations = Annotations.read(run, problems)
    return shown | {
        "size": size_of_run(run, over=not run.alive()),
        "tags": list(annotations.tags),
        "note": annotations.note or None,
    }


def has_tags(run: RunDirectory, wanted: Collection[str]) -> bool:
    """Whether the run has all of these tags."""
    return not wanted or set(wanted) <= set(Annotations.read(run).tags)


def line_of(run: RunDirectory) -> str:
    """A run in a line, for a list to choose from: name, state, start, tags and note."""
    shown, annotations = status(run), Annotations.read(run)
    parts = [f"{run.cluster}/{run.run}", str(shown["state"] or "unknown")]
    if shown["started"]:
        parts.append(f"started {start_text(shown['started'])}")
    parts += [", ".join(annotations.tags), _first_line(annotations.note)]
    return printable("  ".join(part for part in parts if part))


def show_runs(out: Terminal, runs: Sequence[Mapping[str, Any]]) -> None:
    """Print one line per run, oldest first. Columns without any entry are left out."""
    columns = [("CLUSTER", _cluster), ("RUN", _run), ("STATE", _state), ("STARTED", _started),
               ("TOOK", _took), ("SIZE", _size), ("TAGS", _tags), ("NOTE", _note)]  # fmt: skip
    kept = [
        (title, of)
        for title, of in columns
        if title not in ("TAGS", "NOTE") or any(of(run) for run in runs)
    ]
    rows = [[*(of(run) for _, of in kept), printable(because(run))] for run in runs]
    show_table(out, [*(title for title, _ in kept), "WHY"], rows)


def start_text(moment: float) -> str:
    """A time on the clock of this machine: `2026-11-29 16:13`."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")


def _cluster(run: Mapping[str, Any]) -> Cell:
    return str(run["cluster"])


def _run(run: Mapping[str, Any]) -> Cell:
    return str(run["run"])


def _state(run: Mapping[str, Any]) -> Cell:
    state = run["state"] or "unknown"
    return (state, STATE_COLOURS.get(state, ""))


def _started(run: Mapping[str, Any]) -> Cell:
    return start_text(run["started"]) if run["started"] else ""


def _took(run: Mapping[str, Any]) -> Cell:
    end = run["ended"] or run["seen"] or time.time()
    return duration_text(end - run["started"]) if run["started"] else ""


def _size(run: Mapping[str, Any]) -> Cell:
    return bytes_text(run["size"])


def _tags(run: Mapping[str, Any]) -> Cell:
    return ", ".join(run["tags"])


def _note(run: Mapping[str, Any]) -> Cell:
    return _first_line(run["note"] or "")


def _first_line(note: str) -> str:
    first, _, rest = note.partition("\n")
    cut = len(first) > _NOTE_CHARACTERS
    return first[: _NOTE_CHARACTERS - 1] + "…" if cut else first + (" …" if rest else "")
