"""`elsewhere.json` of a run: who runs its supervisor on another host."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class Elsewhere(JsonFile):
    """The cell that runs the supervisor, its batch job, and when that was submitted."""

    cell: str = ""
    job: str | None = None
    submitted: float | None = None
