"""The report of a run: what `tenfold why` explains, before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tenfold.run.statusfiles import ResumedFrom
from tenfold.views.causes import CauseLine
from tenfold.views.crashes import Crash
from tenfold.views.facts import Disk, Saved
from tenfold.views.status import RunView
from tenfold.views.troubles import Trouble


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """The task that failed first, how, and what to do about it.

    Attributes:
        words: how it ended, for a sentence that begins with its name.
        reason, cause: why, if the cell knows it.
        meaning: what its exit code or signal means.
        crash: where it crashed in native code, if Python reported it.
        error: its own message.
        lines: its last lines.
    """

    task: str
    time: float | None
    exit_code: int | None
    signal: str | None
    words: str
    reason: str | None
    cause: str | None
    meaning: str | None
    crash: Crash | None
    error: CauseLine | None
    hint: str | None
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "crash": self.crash and self.crash.to_json(),
            "error": self.error and self.error.to_json(),
            "lines": list(self.lines),
        }


@dataclass(slots=True)
class TaskRetries:
    """The restarts of a task after failures, and what was restarted with it.

    Attributes:
        times: when, in seconds since 1970.
        because: how it ended the last time.
        spent: how many restarts count now; `limit` is their maximum, or None.
    """

    task: str
    spent: int
    limit: int | None
    times: list[float | None] = field(default_factory=list)
    because: str | None = None
    scope: str = "task"
    together: dict[str, None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The shape of one of `retries` in `why --json`."""
        names = ("task", "times", "because", "scope", "spent", "limit")
        return {name: getattr(self, name) for name in names} | {"with": list(self.together)}


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run, explained.

    Attributes:
        wrong: whether there is anything to do.
        headline: the first line; `hint` is its end, or None.
        next: commands that help.
        checkpoint: the newest one; `checkpoint_age_s` is its age when the run ended, or now.
        hangs: the paths of their reports.
        damaged: what is wrong, by the path of the file.
    """

    status: RunView
    wrong: bool
    headline: str
    hint: str | None
    next: tuple[str, ...]
    first_failure: FirstFailure | None
    retries: tuple[TaskRetries, ...]
    resumed_from: ResumedFrom | None
    troubles: tuple[Trouble, ...]
    checkpoint: Saved | None
    checkpoint_age_s: float
    disk: Disk | None
    hangs: tuple[str, ...]
    damaged: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The shape of `why --json`; see docs/json.md."""
        run, saved = self.status, self.checkpoint
        return {
            "version": 1,
            "cluster": run.cluster,
            "run": run.run,
            "directory": str(run.directory),
            "cell": run.cell,
            "state": run.state,
            "wrong": self.wrong,
            "headline": self.headline,
            "hint": self.hint,
            "next": list(self.next),
            "reason": run.reason,
            "started": run.started,
            "ended": run.ended,
            "seen": run.seen,
            "first_failure": self.first_failure and self.first_failure.to_json(),
            "consequences": [death.to_json() for death in run.consequences],
            "retries": [retry.to_json() for retry in self.retries],
            "resumed_from": self.resumed_from and self.resumed_from.to_json(),
            "troubles": [asdict(trouble) for trouble in self.troubles],
            "checkpoint": saved and {**asdict(saved), "age_s": self.checkpoint_age_s},
            "disk": self.disk and asdict(self.disk),
            "hangs": list(self.hangs),
            "damaged": dict(self.damaged),
        }
