"""`unsaved.json` of a task: why its last checkpoint could not be saved."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class UnsavedCheckpoint(JsonFile):
    """Why the checkpoint of a step could not be saved in the directory `place`."""

    version: int = 1
    time: float | None = None
    step: float | None = None
    words: str = "unknown"
    place: str = ""
