"""`progress.json` of a task: how far it is, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.base.older import Self
from tenfold.run.jsonfiles import JsonFile, JsonObject


@dataclass(frozen=True, slots=True)
class OddSteps(JsonObject):
    """Since which step a figure is NaN or infinite.

    `value` is `nan`, `inf` or `-inf`. `until` is the first finite step after it, or None.
    """

    value: str = "nan"
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Progress(JsonFile):
    """The progress that a task last reported, `time` in seconds since 1970.

    `rate` is in `unit` per second. `not_finite` has the figures that are or were not finite.
    """

    done: float | None = None
    total: float | None = None
    unit: str = "steps"
    rate: float | None = None
    figures: Mapping[str, str | float | None] = field(default_factory=dict)
    time: float | None = None
    not_finite: Mapping[str, OddSteps] = field(default_factory=dict)

    @property
    def share(self) -> float | None:
        """The part that is done, from 0 to 1. None if the file is incomplete."""
        if self.done is None or self.total is None or self.time is None:
            return None
        return min(1.0, max(0.0, self.done / (self.total or 1)))

    def to_json(self) -> dict[str, Any]:
        """The contents of the file. `not_finite` is there if it has figures."""
        names = ("done", "total", "unit", "rate", "figures", "time")
        odd = {name: one.to_json() for name, one in self.not_finite.items()}
        made = {name: getattr(self, name) for name in names}
        return made | ({"not_finite": odd} if odd else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The progress in the result of `to_json`."""
        told = data.get("not_finite") or {}
        odd = {name: OddSteps.from_json(one) for name, one in told.items() if one is not None}
        return super(Progress, cls).from_json({**data, "not_finite": odd})
