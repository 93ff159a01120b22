"""`tenfold note`: write a note about a run, or show it."""

from __future__ import annotations

import sys

import click

from tenfold.cli.common import (
    err,
    find_run,
    json_option,
    out,
    print_json,
    run_argument,
    runs_option,
)
from tenfold.errors import visible
from tenfold.run.annotations import Annotations, change, checked_note


@click.command("note")
@run_argument
@click.argument("text", required=False)
@click.option("--append", is_flag=True, help="Add TEXT as a new line to the note.")
@runs_option
@json_option
def command(run: str, text: str | None, append: bool, runs: str | None, as_json: bool) -> None:
    """Write TEXT as the note of a run. An empty TEXT removes the note, and - reads it from stdin.

    Without TEXT, print the note. CLUSTER alone means its newest run.
    """
    found = find_run(run, runs)
    if text is None:
        now = Annotations.read_of(found)
    else:
        said = sys.stdin.read() if text == "-" else text

        def changed(before: Annotations) -> Annotations:
            note = f"{before.note}\n{said}" if append else said
            return Annotations(tags=before.tags, note=checked_note(note))

        now = change(found, changed)
    if as_json:
        print_json({"version": 1, "cluster": found.cluster, "run": found.run, **now.shown()})
    elif text is not None:
        what = "the note is written" if now.note else "it has no note"
        err().print(f"{found.cluster} {found.run}: {what}")
    elif now.note:
        out().print(visible(now.note))
