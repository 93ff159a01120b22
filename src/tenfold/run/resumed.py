"""`resumed.json` of a run: the earlier run, and what is taken over from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.base.older import Self
from tenfold.run.jsonfiles import JsonFile


@dataclass(frozen=True, slots=True)
class SetAside:
    """A damaged file of the earlier run, and its new name."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class ResumedRun(JsonFile):
    """The run that this one resumes. Times are seconds since 1970.

    Attributes:
        checkpoint: the newest one, relative to `checkpoints`; `step` and `saved` are its own.
        ended: when the earlier run ended.
        retried: by task, when it was restarted after failures, if the supervisor died.
        set_aside: damaged files.
    """

    version: int = 1
    run: str | None = None
    checkpoint: str | None = None
    step: float | None = None
    saved: float | None = None
    ended: float | None = None
    retried: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    set_aside: tuple[SetAside, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contents of the file."""
        aside = [{"file": one.file, "as": one.name} for one in self.set_aside]
        return {name: getattr(self, name) for name in self.__slots__} | {"set_aside": aside}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The object in the result of `to_json`."""
        retried, aside = data.get("retried") or {}, data.get("set_aside") or ()
        nested = {
            "retried": {task: tuple(moments or ()) for task, moments in retried.items()},
            "set_aside": [SetAside(str(one.get("file")), str(one.get("as"))) for one in aside],
        }
        return super(ResumedRun, cls).from_json({**data, **nested})
