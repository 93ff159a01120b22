"""`status.json` of a run and of its tasks: contents, writer and reader.

The supervisor writes both files. A field that is missing or has the wrong type is None for readers,
or empty: another version of tenfold, or a task, can have written the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenfold.base.older import Self
from tenfold.run.jsonfiles import JsonFile, JsonObject

if TYPE_CHECKING:
    from tenfold.run.exceptions import Broken


@dataclass(frozen=True, slots=True)
class DeathStatus(JsonObject):
    """A task that ended badly.

    `words` describes how, `reason` and `cause` explain why if that is known.
    """

    task: str | None = None
    time: float | None = None
    exit_code: int | None = None
    signal: str | None = None
    words: str | None = None
    reason: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class FirstFailureStatus(JsonObject):
    """The death that ended the run.

    Attributes:
        death: the death itself.
        lines: the last lines of the task's output.
        stderr: the last lines of its standard error.
        exception: the exception that ended it, or None.
    """

    death: DeathStatus
    lines: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    exception: Broken | None = None

    def to_json(self) -> dict[str, Any]:
        """One JSON object with the fields of the death and all others."""
        return self.death.to_json() | {
            "lines": list(self.lines),
            "stderr": list(self.stderr),
            "exception": self.exception and self.exception.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`."""
        from tenfold.run.exceptions import Broken  # few runs have one, and `ps` starts sooner

        return cls(
            DeathStatus.from_json(data),
            _texts(data.get("lines")),
            _texts(data.get("stderr")),
            Broken.from_json(data.get("exception")),
        )


@dataclass(frozen=True, slots=True)
class OddFigure:
    """A figure of the training that is NaN or infinite.

    Attributes:
        task: the task that reported it. None for a scalar of an event file.
        figure: its name; `value` is `nan`, `inf` or `-inf`.
        since: the first step of it, in `unit`; `until` is the first finite one after it, or None.
        directory: the directory of the event file, relative to the run: `tensorboard/train`.
    """

    task: str | None
    figure: str
    value: str
    since: float
    until: float | None = None
    unit: str = "steps"
    directory: str | None = None

    @property
    def source(self) -> str:
        """The task that reported the figure, or the directory of its event file."""
        return self.task or self.directory or ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names. `directory` is there if it is known."""
        place = {} if self.directory is None else {"directory": self.directory}
        rest = {name: getattr(self, name) for name in ("figure", "value", "since", "until", "unit")}
        return {"task": self.task, **place, **rest}

    @classmethod
    def from_json(cls, data: object) -> Self | None:
        """The figure in the result of `to_json`. None if a part is missing.

        Anybody can have written it.
        """
        if not isinstance(data, dict):
            return None
        texts, steps = ("task", "directory", "figure", "value", "unit"), ("since", "until")
        fit = {name: data[name] for name in texts if isinstance(data.get(name), str)}
        fit |= {name: data[name] for name in steps if isinstance(data.get(name), (int, float))}
        if not fit.keys() >= {"figure", "value", "since"} or not fit.keys() & {"task", "directory"}:
            return None
        return cls(**{"task": None, **fit})


@dataclass(frozen=True, slots=True)
class HangStatus(JsonObject):
    """The current hang: since when, likely culprit, report and policy's action."""

    time: float | None = None
    task: str | None = None
    words: str | None = None
    report: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class ResumedFrom(JsonObject):
    """The run that this one resumes, the checkpoint, and the step of the checkpoint."""

    run: str | None = None
    checkpoint: str | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class RunStatus(JsonFile):
    """A run. Times are seconds since 1970.

    Attributes:
        state: the state of the run; `outcome`: how it will have ended, once that is known.
        updated: when the supervisor wrote this, by the clock of its machine.
        protection: the kind of `cells.Protection`, once the cell is open.
        not_finite: figures that are NaN or infinite, in the order in which they were found.
        consequences: deaths that followed from the first failure.
    """

    version: int = 1
    cluster: str | None = None
    run: str | None = None
    cell: str | None = None
    state: str | None = None
    outcome: str | None = None
    reason: str | None = None
    started: float | None = None
    updated: float | None = None
    ended: float | None = None
    host: str | None = None
    supervisor_pid: int | None = None
    protection: str | None = None
    protection_words: str | None = None
    resumed_from: ResumedFrom | None = None
    hang: HangStatus | None = None
    not_finite: tuple[OddFigure, ...] = ()
    first_failure: FirstFailureStatus | None = None
    consequences: tuple[DeathStatus, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The contents of `status.json`."""
        return JsonFile.to_json(self) | {
            "resumed_from": self.resumed_from and self.resumed_from.to_json(),
            "hang": self.hang and self.hang.to_json(),
            "not_finite": [figure.to_json() for figure in self.not_finite],
            "first_failure": self.first_failure and self.first_failure.to_json(),
            "consequences": [death.to_json() for death in self.consequences],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`."""
        resumed, hang, first = (data.get(key) for key in ("resumed_from", "hang", "first_failure"))
        odd = data.get("not_finite")
        figures = [OddFigure.from_json(one) for one in (odd if isinstance(odd, list) else ())]
        nested = {
            "resumed_from": ResumedFrom.from_json(resumed) if resumed else None,
            "hang": HangStatus.from_json(hang) if hang else None,
            "not_finite": [figure for figure in figures if figure is not None],
            "first_failure": FirstFailureStatus.from_json(first) if first else None,
            "consequences": [DeathStatus.from_json(one) for one in data.get("consequences") or ()],
        }
        return super(RunStatus, cls).from_json({**data, **nested})


@dataclass(frozen=True, slots=True)
class TaskStatus(JsonFile):
    """A task. Times are seconds since 1970.

    Attributes:
        address: `host:port`, once it is known; `host` is the machine that it was started on.
        pid: its process on that machine, while there is one and it is known.
        signal: the name of the signal that ended it.
        retried: when it was restarted after failures of its own.
        url: the first of `urls`: the pages that it publishes, by the name of the port.
    """

    version: int = 1
    task: str | None = None
    job: str | None = None
    index: int | None = None
    state: str | None = None
    address: str | None = None
    host: str | None = None
    pid: int | None = None
    restarts: int | None = None
    exit_code: int | None = None
    signal: str | None = None
    reason: str | None = None
    cause: str | None = None
    retried: tuple[float, ...] = ()
    url: str | None = None
    urls: Mapping[str, str] = field(default_factory=dict)
    started: float | None = None
    ready: float | None = None
    ended: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`."""
        urls = {port: url for port, url in (data.get("urls") or {}).items() if url is not None}
        return super(TaskStatus, cls).from_json({**data, "urls": urls})


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))
