"""`unsaved.json` of a task: why its last checkpoint could not be saved."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class UnsavedCheckpoint(JsonFile):
    """The checkpoint of a step that could not be saved in the directory `place`, and why."""

    version: int = 1
    time: float | None = None
    step: float | None = None
    words: str = "unknown"
    place: str = ""
