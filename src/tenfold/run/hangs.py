"""`report.json` of a hang, in `hangs/TIME/` of a run: when it was found, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.base.older import Self
from tenfold.run import files
from tenfold.run.jsonfiles import JsonFile
from tenfold.run.rundir import RunDirectory

_MOST_REPORTS = 20


@dataclass(frozen=True, slots=True)
class HangRecord(JsonFile):
    """A hang. Times are seconds since 1970, lengths of time are seconds.

    Attributes:
        words: what hangs, and the likely culprit (`task`), in a sentence.
        sign: the sign of progress that is missing; `still_s` is for how long.
        after_s: the limit in the file; `action` is what it says to do.
        findings: stacks, groups, silent edges and suspects (`debug.findings`), for people.
        lines: the last lines of tasks, by name.
    """

    version: int = 1
    time: float | None = None
    cluster: str | None = None
    run: str | None = None
    words: str | None = None
    task: str | None = None
    sign: str | None = None
    still_s: float = 0.0
    after_s: float = 0.0
    action: str | None = None
    findings: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The contents of the file."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "findings"}
        return {**own, **self.findings}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The hang in the result of `to_json`."""
        rest = {name: value for name, value in data.items() if name not in cls.__slots__}
        return super(HangRecord, cls).from_json({**data, "findings": rest})


def recorded_hangs(run: RunDirectory) -> tuple[tuple[Path, HangRecord], ...]:
    """The newest hangs of a run and their files, the oldest of them first."""
    home = run.path / "hangs"
    names = files.directories(home) if home.name in files.directories(run.path) else []
    paths = (home / name / "report.json" for name in names[-_MOST_REPORTS:])
    found = ((path, HangRecord.read(path)) for path in paths)
    return tuple((path, hang) for path, hang in found if hang is not None)
