"""`placement.json` of a task: where the variables that it made are placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.base.older import Self
from tenfold.run.jsonfiles import JsonFile, JsonObject


@dataclass(frozen=True, slots=True)
class PlacedVariable(JsonObject):
    """A part of a variable.

    Attributes:
        name: that of the part; `variable` is that of the whole.
        part: its number among `parts`.
        shape, bytes: None if they are not known.
        device: as TensorFlow names it. `task` is the task that has it, if the device tells.
    """

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
class Placement(JsonFile):
    """The variables that a task has made, as of `time` (seconds since 1970)."""

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
        return super(Placement, cls).from_json({**data, "variables": told})
