"""`status.json` of a run and of its tasks: contents, writer and reader.

The supervisor writes both files. A field that is missing or has the wrong type is None for readers,
or empty: another version of tenfold, or a task, can have written the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory, TaskDirectory

VERSION = 1

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DeathStatus:
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
class FirstFailureStatus:
    """The death that ended the run.

    Attributes:
        death: the death itself.
        lines: the last lines of the task's output.
        stderr: the last lines of its standard error.
        exception: the exception that ended it (`debug.broken`), or None.
    """

    death: DeathStatus
    lines: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    exception: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """One JSON object with the fields of the death and all others."""
        return {
            **_shallow(self.death),
            "lines": list(self.lines),
            "stderr": list(self.stderr),
            "exception": self.exception,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`."""
        exception = data.get("exception")
        return cls(
            _made(DeathStatus, data),
            _texts(data.get("lines")),
            _texts(data.get("stderr")),
            exception if isinstance(exception, dict) else None,
        )


@dataclass(frozen=True, slots=True)
class HangStatus:
    """The current hang: since when, likely culprit, report and policy's action."""

    time: float | None = None
    task: str | None = None
    words: str | None = None
    report: str | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class ResumedFrom:
    """The run that this one resumes, the checkpoint, and the step of the checkpoint."""

    run: str | None = None
    checkpoint: str | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run. Times are seconds since 1970.

    Attributes:
        state: the state of the run; `outcome`: how it will have ended, once that is known.
        updated: when the supervisor wrote this, by the clock of its machine.
        protection: the kind of `cells.Protection`, once the cell is open.
        not_finite: figures that are NaN or infinite (`supervise.figures.Odd`).
        consequences: deaths that followed from the first failure.
    """

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
    not_finite: tuple[Mapping[str, Any], ...] = ()
    first_failure: FirstFailureStatus | None = None
    consequences: tuple[DeathStatus, ...] = ()

    def write(self, run: RunDirectory) -> None:
        """Write `status.json` of `run`. Raises OSError if the disk refuses it."""
        write_json(run.status, self.to_json())

    @classmethod
    def read(cls, run: RunDirectory) -> Self | None:
        """The readable part of the status of `run`, or None if it has no status."""
        data = read_json(run.status)
        return None if data is None else cls.from_json(data)

    def to_json(self) -> dict[str, Any]:
        """The contents of `status.json`."""
        return {
            "version": VERSION,
            **_shallow(self),
            "resumed_from": self.resumed_from and _shallow(self.resumed_from),
            "hang": self.hang and _shallow(self.hang),
            "not_finite": list(self.not_finite),
            "first_failure": self.first_failure and self.first_failure.to_json(),
            "consequences": [_shallow(death) for death in self.consequences],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`.

        `data` has the types that `records` states.
        """
        resumed, hang, first = (data.get(key) for key in ("resumed_from", "hang", "first_failure"))
        odd = data.get("not_finite")
        nested = {
            "resumed_from": _made(ResumedFrom, resumed) if resumed else None,
            "hang": _made(HangStatus, hang) if hang else None,
            "not_finite": tuple(one for one in odd if isinstance(one, dict))
            if isinstance(odd, list)
            else (),
            "first_failure": FirstFailureStatus.from_json(first) if first else None,
            "consequences": tuple(
                _made(DeathStatus, one) for one in data.get("consequences") or ()
            ),
        }
        return _made(cls, {**data, **nested})


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A task. Times are seconds since 1970.

    Attributes:
        address: `host:port`, once it is known; `host` is the machine that it was started on.
        pid: its process on that machine, while there is one and it is known.
        signal: the name of the signal that ended it.
        retried: when it was restarted after failures of its own.
        url: the first of `urls`: the pages that it publishes, by the name of the port.
    """

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

    def write(self, directory: TaskDirectory) -> None:
        """Write `status.json` of a task. Raises OSError if the disk refuses it."""
        write_json(directory.status, self.to_json())

    @classmethod
    def read(cls, directory: TaskDirectory) -> Self | None:
        """The readable part of the status of a task, or None if it has no status."""
        data = read_json(directory.status)
        return None if data is None else cls.from_json(data)

    def to_json(self) -> dict[str, Any]:
        """The contents of `status.json`."""
        return {"version": VERSION, **_shallow(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The status in the result of `to_json`.

        `data` has the types that `records` states.
        """
        several = {"retried": tuple(data.get("retried") or ()), "urls": data.get("urls") or {}}
        return _made(cls, {**data, **several})


_NAMES: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind))
    for kind in (DeathStatus, HangStatus, ResumedFrom, RunStatus, TaskStatus)
}


def _texts(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, str))


def _shallow(value: Any) -> dict[str, Any]:
    """The fields by name.

    `dataclasses.asdict` copies the values, which takes ten times as long.
    """
    return {name: getattr(value, name) for name in _NAMES[type(value)]}


def _made(kind: type[_T], data: Mapping[str, Any]) -> _T:
    """An instance of `kind` from those fields of `data` that it has.

    Other fields of `data` are of another version.
    """
    return kind(**{name: data[name] for name in _NAMES[kind] if name in data})
