"""The health of a run in one sentence, for the page: the live verdict of `why`.

Owns when the verdict is computed again: at once when something happened, else rarely, because it
reads all of a run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.views.live import LiveRun
from tenfold.views.report import RunReport
from tenfold.views.traffic import MapEdge
from tenfold.views.why import account

Tone = Literal["bad", "care", "good", "plain"]

_EVERY_S = 5.0
_SHARE = 500
"""The maximum share of the time spent while nothing happens, as a divisor."""

_BUSY_SHARE = 8
"""The same while tasks change their states."""

_MOST_TROUBLES = 12


@dataclass(frozen=True, slots=True)
class HealthTrouble:
    """One problem. `words` are a sentence, `hint` is what to do, `now`: it lasts."""

    kind: str
    words: str
    hint: str | None
    task: str | None
    now: bool


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict on a run.

    Attributes:
        tone: `bad` (failed, hung, not finite), `care` (another problem), `good` or `plain`.
        headline: the first line of `tenfold why`.
        next: commands that help.
        culprit: the task that the verdict names, if it names one.
        restarts: how often tasks were restarted after failures.
        checkpoint: the newest complete checkpoint and the time of it, if there is one.
        disk_free: bytes that are free where the run is kept.
    """

    tone: Tone
    headline: str
    time: float
    hint: str | None = None
    next: tuple[str, ...] = ()
    culprit: str | None = None
    troubles: tuple[HealthTrouble, ...] = ()
    restarts: int = 0
    checkpoint: str | None = None
    checkpoint_time: float | None = None
    resumed_from: str | None = None
    disk_free: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of the same names."""
        return asdict(self)


def health_of(told: RunReport, now: float) -> Health:
    """The health in a report of `why`. Pure."""
    troubles = tuple(
        HealthTrouble(one.kind, one.words, one.hint, one.task, one.now)
        for one in told.troubles[:_MOST_TROUBLES]
    )
    saved = told.checkpoint
    lasting = next((one.task for one in troubles if one.now and one.task), None)
    return Health(
        tone=_tone(told, troubles),
        headline=told.headline,
        hint=told.hint,
        next=told.next,
        culprit=told.status.first_failed or lasting,
        troubles=troubles,
        restarts=sum(len(one.times) for one in told.retries),
        checkpoint=saved.name if saved else None,
        checkpoint_time=saved.time if saved else None,
        resumed_from=told.resumed_from.run if told.resumed_from else None,
        disk_free=told.disk.free if told.disk else None,
        time=now,
    )


_BAD_KINDS = frozenset({"hang", "not-finite", "disk"})


def _tone(told: RunReport, troubles: Sequence[HealthTrouble]) -> Tone:
    state = told.status.state
    if state == State.FAILED or any(one.now and one.kind in _BAD_KINDS for one in troubles):
        return "bad"
    if told.wrong:
        return "care"
    return "good" if state in (State.RUNNING, State.SUCCEEDED) else "plain"


class HealthReader:
    """The health of one run, read repeatedly. For one thread at a time."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._key: tuple[str, int] | None = None
        self._due = self._soon = -math.inf
        self._known: Health | None = None

    def read(self, now: LiveRun, edges: Callable[[], Sequence[MapEdge]]) -> Health:
        """The health. `now` is the newest look at the run, `edges` makes those of its map."""
        moment = time.monotonic()
        urgent, busy = _urgent(now), _busy(now)
        known, before = self._known, self._key
        same = before == (urgent, busy)
        is_urgent = before is None or before[0] != urgent
        if known is None or is_urgent or moment >= (self._due if same else self._soon):
            known = self._known = self._read(edges if now.alive else lambda: ())
            took = time.monotonic() - moment
            self._key = (urgent, busy)
            self._due = math.inf if now.over else moment + max(_EVERY_S, took * _SHARE)
            self._soon = moment + took * _BUSY_SHARE
        return known

    def _read(self, edges: Callable[[], Sequence[MapEdge]]) -> Health:
        try:
            return health_of(account(self._run, edges()), time.time())
        except (TypeError, ValueError, KeyError, AttributeError, OSError) as error:
            words = f"{self._run.cluster}: its files make no sense: {error}"
            return Health("care", words, time.time())


def _urgent(now: LiveRun) -> str:
    """Whatever has to be reported at once."""
    run = now.status
    told = (run.state, run.outcome, run.reason, run.hang, run.not_finite, run.first_failed)
    return repr((*told, now.alive, now.warning))


def _busy(now: LiveRun) -> int:
    """Changes when tasks do."""
    return hash(tuple((task.view.state, task.view.restarts) for task in now.tasks))
