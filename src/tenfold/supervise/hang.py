"""Policy: whether the cluster hangs, since when, and how tenfold reacts.

The reaction is to restart tasks or to stop the run.

What counts as going on is, of these, the first that there is:

1. what tasks tell with `tenfold.progress`; a task that has told all of its work counts no more,
2. event files below `tensorboard/` that grow, and output,
3. traffic on the edges that are planned and sure, and output,
4. progress bars that are open and have moved, and output,
5. nothing: the cluster is not watched.

Output does not count where it only draws a bar again that has not moved. A bar must stand for
longer than it ever did before: what it shows may be slow.

Whatever the others do, a task that a signal has stopped hangs, and so does one that told of its
progress and tells no more while others do.

Pure: no clock, no file. Time counts while somebody looks, a few seconds a look at the most. So
neither a clock that jumps, nor a machine that slept, nor a supervisor that was stopped makes a
hang.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tenfold.base.quantities import duration_text
from tenfold.supervise.failure import sharing, together
from tenfold.supervise.restart import spent_restarts
from tenfold.supervise.state import ClusterState, Hung, TaskState

MOST_LOOK_S = 3.0
"""The maximum number of seconds counted between two looks."""

_BAR_PATIENCE = 5
"""How many times longer than ever before a bar must stand for a hang."""

_BAR_CHANGES = 3
"""How many changes show how long a bar usually stands."""

Sign = Literal["progress", "files", "talk", "bars", "stopped"]


@dataclass(frozen=True, slots=True)
class Step:
    """The progress a task reports in its present life.

    `done` is None before the first report.

    `finished`: it has told all of its work, and more is not expected.
    """

    done: float | None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Signs:
    """What was observed at one moment. Whatever changes makes progress.

    Attributes:
        up: the cluster runs: all tasks were ready, and it is not being stopped.
        lives: how often each member of the training that is up was started.
        steps: of those, the ones that have ever told of their progress.
        files: changes when event files grow, and with output; None if there are none.
        talk: changes with traffic and output; None where it is not known who has to talk.
        bars: changes with open bars and output, if there is no other sign; None if no bar is open.
        stopped: tasks, members or not, with a process that is stopped.
    """

    up: bool
    lives: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, Step] = field(default_factory=dict)
    files: Hashable = None
    talk: Hashable = None
    bars: Hashable = None
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class HangVerdict:
    """One task hangs, or all do. `still_s` is how long there was no progress."""

    sign: Sign
    task: str | None
    still_s: float

    @property
    def words(self) -> str:
        """The problem, as a sentence without its end."""
        since = f"for {duration_text(self.still_s)}"
        match self.sign:
            case "stopped":
                return f"{self.task} has been stopped {since}"
            case "progress" if self.task is not None:
                return f"{self.task} has made no progress {since}, while others have"
            case "progress":
                return f"no progress {since}"
            case "files":
                return f"no event file has grown, and there was no output, {since}"
            case "bars":
                return f"no progress bar has moved, and there was no output, {since}"
            case _:
                return f"no traffic between tasks that must communicate, and no output, {since}"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The tasks that hung make progress again."""


_Key = tuple[Sign, str | None]


@dataclass(slots=True)
class _Still:
    """One thing that should change: its last value, and how long it has not changed."""

    mark: Hashable
    life: Hashable
    seconds: float = 0.0


class Stillness:
    """Everything observed so far.

    A hang is reported once, and once more if it lasts after a restart.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._last: float | None = None
        self._seen: dict[_Key, _Still] = {}
        self._pauses: tuple[Hashable, int, float] = (None, 0, 0.0)
        """Of bars: in which lives, how many changes there were, and the longest pause."""
        self._told: HangVerdict | None = None
        self._told_s = 0.0
        """Seconds since the last verdict."""

    def look(self, signs: Signs, now: float) -> HangVerdict | Resumed | None:
        """Conclude from `signs`, seen at `now`.

        `now` is in seconds, from any beginning.
        """
        passed = 0.0 if self._last is None else min(max(0.0, now - self._last), MOST_LOOK_S)
        self._last = now
        if not signs.up:
            self._seen, self._told = {}, None
            return None
        watched = _watched(signs)
        moved = {key for key in self._seen if key not in watched and _is_over(key, signs)}
        moved |= self._compare(watched, passed)
        self._told_s += passed
        if self._told is not None and (self._told.sign, self._told.task) in moved:
            self._told = None
            return Resumed()
        return self._judge()

    def _compare(
        self, watched: Mapping[_Key, tuple[Hashable, Hashable]], passed: float
    ) -> set[_Key]:
        """Add `passed` seconds to all that did not change, and return what did.

        A change counts only within one life: a task that has just been restarted makes no progress
        yet.
        """
        moved = set()
        seen = {}
        for key, (mark, life) in watched.items():
            still = self._seen.get(key)
            if still is None or still.life != life:
                still = _Still(mark, life)
            elif still.mark != mark:
                if key[0] == "bars":
                    self._note_pause(still)
                still = _Still(mark, life)
                moved.add(key)
            else:
                still.seconds += passed
            seen[key] = still
        self._seen = seen
        return moved

    def _judge(self) -> HangVerdict | None:
        for key, still in sorted(self._seen.items(), key=lambda item: _first_of_all(item[0])):
            if still.seconds >= self._bound(key, still) and self._is_news(key, still):
                self._told, self._told_s = HangVerdict(key[0], key[1], still.seconds), 0.0
                return self._told
        return None

    def _bound(self, key: _Key, still: _Still) -> float:
        """After how many seconds a standstill is a hang."""
        if key[0] != "bars":
            return self._after_s
        life, changes, longest = self._pauses
        if life != still.life or changes < _BAR_CHANGES:
            return math.inf
        return max(self._after_s, _BAR_PATIENCE * longest)

    def _note_pause(self, still: _Still) -> None:
        """Remember how long bars stand in this life, also when all are closed in between."""
        life, changes, longest = self._pauses
        if life != still.life:
            changes, longest = 0, 0.0
        self._pauses = still.life, changes + 1, max(longest, still.seconds)

    def _is_news(self, key: _Key, still: _Still) -> bool:
        """Whether a standstill was not reported yet, by itself or as part of another."""
        sign, task = key
        if self._told is not None and still.seconds >= self._told_s:
            return False  # it began before that was told
        if sign == "progress" and task is not None:
            all_of_them = self._seen.get(("progress", None))
            return all_of_them is not None and all_of_them.seconds < self._after_s / 2
        return True


def _first_of_all(key: _Key) -> tuple[bool, str]:
    """The order of reports: what concerns all tasks precedes what concerns one."""
    return key[1] is not None, key[1] or ""


def _watched(signs: Signs) -> dict[_Key, tuple[Hashable, Hashable]]:
    """What should change: its value now, and the lives for which this holds."""
    found: dict[_Key, tuple[Hashable, Hashable]] = {
        ("stopped", task): (True, signs.lives.get(task)) for task in signs.stopped
    }
    lives = tuple(sorted(signs.lives.items()))
    if signs.steps:
        ahead = {task: step for task, step in signs.steps.items() if not step.finished}
        for task, step in ahead.items():
            found["progress", task] = (step.done, lives)
        if ahead:
            found["progress", None] = (tuple(sorted((t, s.done) for t, s in ahead.items())), lives)
    elif signs.files is not None:
        found["files", None] = (signs.files, lives)
    elif signs.talk is not None:
        found["talk", None] = (signs.talk, lives)
    elif signs.bars is not None:
        found["bars", None] = (signs.bars, lives)
    return found


def _is_over(key: _Key, signs: Signs) -> bool:
    """Whether a thing that is no longer watched made progress.

    Steps are no longer watched when a task has reported all its work.
    """
    sign, task = key
    if sign != "progress":
        return True
    return bool(signs.steps) if task is None else task in signs.steps


@dataclass(frozen=True, slots=True)
class HangRuling:
    """The ruling of the hang policy: restart these tasks, or stop the run.

    `stop` is the reason to stop the run.
    """

    restart: list[TaskState] = field(default_factory=list)
    stop: str | None = None


def ruling(cluster: ClusterState, hung: Hung, now: float) -> HangRuling:
    """The reaction to a hang, by the plan's `hang.action`."""
    action = cluster.plan.hang.action if cluster.plan.hang else "report"
    if action == "stop":
        return HangRuling(stop=f"hung: {hung.words}")
    again = to_restart(cluster, hung.task) if action == "restart" else []
    if again and in_vain(cluster, again, now):
        return HangRuling(stop=f"hung, and all restarts are used up: {hung.words}")
    return HangRuling(again)


def to_restart(cluster: ClusterState, culprit: str | None) -> list[TaskState]:
    """The tasks to restart: the culprit and its group.

    If the culprit is unknown, these are all members.

    Nobody if the culprit, or every member, has ended or was told to end. Its restart is under way
    then, or the restart policy decides when it has ended.
    """
    if culprit is None:
        members = [state for state in cluster.tasks.values() if state.task.member and state.live]
        return members if any(state.lasts for state in members) else []
    state = cluster.tasks[culprit]
    if not state.lasts:
        return []
    return [state, *(other for other in together(cluster, state) if other.live)]


def in_vain(cluster: ClusterState, restarted: list[TaskState], now: float) -> bool:
    """Whether the first of them has been restarted as often as its rule allows."""
    spent = spent_restarts(sharing(cluster, restarted[0]), now)
    return spent >= restarted[0].task.restart.limit
