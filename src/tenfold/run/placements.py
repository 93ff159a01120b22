"""`placement.json` of a task: its variables, and where they are placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tenfold.run.jsonfiles import JsonFile, JsonObject


@dataclass(frozen=True, slots=True)
class PlacedVariable(JsonObject):
    """A part of a variable. `task` holds it; `shape` and `bytes` are None if not known."""

    name: str
    variable: str
    part: int
    parts: int
    dtype: str
    device: str
    shape: tuple[int | None, ...] | None = None
    bytes: int | None = None
    task: str | None = None


@dataclass(frozen=True, slots=True)
class PlacementFile(JsonFile):
    """The variables that a task has reported, `time` in seconds since 1970."""

    version: int = 1
    time: float | None = None
    variables: tuple[PlacedVariable, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contents of the file."""
        variables = [one.to_json() for one in self.variables]
        return {"version": self.version, "time": self.time, "variables": variables}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The placement in the result of `to_json`."""
        told = [PlacedVariable.from_json(one) for one in data.get("variables") or ()]
        return super(PlacementFile, cls).from_json({**data, "variables": told})
