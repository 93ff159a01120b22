"""`placement.json` of a task: where the variables that it made are placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.base.older import Self
from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class PlacedVariable:
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
    shape: tuple[int | None, ...] | None
    dtype: str
    bytes: int | None
    device: str
    task: str | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        shape = None if self.shape is None else list(self.shape)
        return {name: getattr(self, name) for name in self.__slots__} | {"shape": shape}

    @classmethod
    def from_json(cls, data: object) -> Self | None:
        """The variable in the result of `to_json`, or None if it is damaged."""
        if not isinstance(data, dict):
            return None
        shape = data.get("shape")
        values: dict[str, Any] = {name: data.get(name) for name in cls.__slots__}
        values["shape"] = tuple(shape) if isinstance(shape, list) else shape
        fits = all(isinstance(values[name], kinds) for name, kinds in _KINDS.items())
        return cls(**values) if fits else None


_NOTHING = type(None)
_KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str, "variable": str, "part": int, "parts": int, "shape": (tuple, _NOTHING),
    "dtype": str, "bytes": (int, _NOTHING), "device": str, "task": (str, _NOTHING),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placement(JsonFile):
    """The variables that a task has made, as of `time` (seconds since 1970).

    `damaged`: the file has variables that cannot be read.
    """

    version: int = 1
    time: float | None = None
    variables: tuple[PlacedVariable, ...] = ()
    damaged: bool = False

    def to_json(self) -> dict[str, Any]:
        """The contents of the file."""
        variables = [variable.to_json() for variable in self.variables]
        return {"version": self.version, "time": self.time, "variables": variables}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The readable part of the result of `to_json`."""
        told = data.get("variables")
        entries = told if isinstance(told, list) else [None]
        found = [PlacedVariable.from_json(entry) for entry in entries]
        whole = tuple(one for one in found if one is not None)
        return cls(time=data.get("time"), variables=whole, damaged=len(whole) < len(found))
