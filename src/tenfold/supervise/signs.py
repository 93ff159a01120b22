"""Signs of progress, from the run directory and /proc.

Owns what a sign is made of; what follows from it is `hang`'s. Every look costs a few `stat` calls a
task; a file is read when it has changed.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenfold.base.naming import label_of
from tenfold.debug import processes
from tenfold.planning import edges
from tenfold.planning.plan import Plan
from tenfold.run import files
from tenfold.run.barfile import BarFile
from tenfold.run.logs import STREAMS
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.supervise.hang import Signs, Step
from tenfold.traffic.samples import SampleReader, TrafficSample

_FAMILY_S = 3.0
"""The maximum age in seconds of the list of a task's processes."""

_MOST_ENTRIES = 10_000
_TALK_BYTES = 1024
_TALK_S = 10.0
"""The window in seconds for `_TALK_BYTES`.

An edge with less traffic in that time carries heartbeats, and no training.
"""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What the supervisor knows of a task: its state, its pid and its lives.

    The pid is the one on this machine. `starts` counts how often the task was started.
    """

    name: str
    phase: str
    pid: int | None
    starts: int

    @property
    def label(self) -> str:
        """`worker-3`."""
        return label_of(self.name)


@dataclass(slots=True)
class _TaskProgress:
    """The progress file of a task: how it was when the life began, and last."""

    life: int
    former: Hashable
    mark: Hashable = None
    done: float | None = None
    finished: bool = False


class _Bars:
    """The bars of tasks. A file is read when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Hashable, Hashable, BarFile]] = {}

    def read(self, task: TaskFacts, path: Path) -> BarFile:
        """The bar in `path`. A file of a former life has none."""
        mark = files.mark(path)
        known = self._known.get(task.name)
        if known is None or known[0] != task.starts:
            known = (task.starts, mark if known is not None else None, None, BarFile())
            self._known[task.name] = known
        life, former, last, bar = known
        if mark is None or mark in (former, last):
            return bar
        bar = BarFile.read(path) or BarFile()
        self._known[task.name] = (life, former, mark, bar)
        return bar


@dataclass(slots=True)
class _Talk:
    """The traffic of a task with the peers it has to communicate with."""

    samples: SampleReader[TrafficSample]
    peers: list[str]
    since: float
    carried: float = 0.0


class SignReader:
    """Reads the signs of one run repeatedly."""

    def __init__(self, run: RunDirectory, plan: Plan) -> None:
        self._run = run
        self._members = {task.name for task in plan.tasks if task.member}
        self._told: dict[str, _TaskProgress] = {}
        self._peers: dict[str, list[str]] = {}
        for pair in sorted(edges.planned(plan).sure):
            if self._members.issuperset(pair):
                for one, other in (pair, pair[::-1]):
                    self._peers.setdefault(one, []).append(other)
        self._bars = _Bars()
        self._talks: dict[str, _Talk] = {}
        self._beats = 0
        self._measured = False
        self._families: dict[int, list[int]] = {}
        self._found: float | None = None

    def read(self, tasks: Sequence[TaskFacts], *, up: bool, now: float) -> Signs:
        """The signs of these tasks at `now` (seconds, steady)."""
        if not up:
            return Signs(up=False)
        members = [
            t
            for t in tasks
            if t.name in self._members and t.phase in (State.STARTING, State.RUNNING)
        ]
        steps = dict(self._steps(members))
        files = None if steps else self._files()
        if files is not None:
            files = (files, self._output(members))
        others = self._peers and not steps and files is None
        talk = self._talk(members, now) if others and self._is_measured(members) else None
        bars = None if steps or files or talk else self._open_bars(members)
        return Signs(
            up=True,
            lives={task.name: task.starts for task in members},
            steps=steps,
            files=files,
            talk=talk,
            bars=bars,
            stopped=frozenset(self._stopped(tasks, now)),
        )

    def _steps(self, members: Sequence[TaskFacts]) -> Iterator[tuple[str, Step]]:
        for task in members:
            path = self._run.task(task.label).progress
            mark = files.mark(path)
            told = self._told.get(task.name)
            if told is None or told.life != task.starts:
                former = mark if told is not None else None
                told = self._told[task.name] = _TaskProgress(task.starts, former)
            if mark is None:
                continue
            if mark != told.former and mark != told.mark:
                self._hear(told, path, mark)
            yield task.name, Step(told.done, told.finished)

    def _hear(self, told: _TaskProgress, path: Path, mark: Hashable) -> None:
        said = Progress.read(path) or Progress()
        if said.done is not None and said.done >= 0:
            told.mark, told.done = mark, said.done
            told.finished = said.total is not None and said.done >= said.total

    def _files(self) -> Hashable:
        """The total size of event files, or None if there are none."""
        home = self._run.shared("tensorboard")
        size = count = 0
        entries = 0
        if home.name not in files.directories(self._run.path):
            return None
        for directory, _, found in os.walk(home):
            entries += len(found)
            for name in found:
                if "tfevents" in name:
                    size += files.size_of(Path(directory, name))
                    count += 1
            if entries > _MOST_ENTRIES:
                break
        return (size, count) if count else None

    def _is_measured(self, members: Sequence[TaskFacts]) -> bool:
        """Whether the traffic between tasks can be seen from here.

        Otherwise silence is no sign.
        """
        self._measured = self._measured or any(
            files.exists(self._run.task(task.label).usage) for task in members
        )
        return self._measured

    def _talk(self, members: Sequence[TaskFacts], now: float) -> Hashable:
        for task in members:
            if task.name in self._peers:
                self._beats += self._talks_more(task, now)
        return self._beats, self._output(members)

    def _output(self, members: Sequence[TaskFacts]) -> Hashable:
        """How much the members have written so far.

        A progress bar that moves is as good a sign as an event file. One that is only drawn again
        is none: of such a task, its moves count instead of its bytes.
        """
        return tuple(self._output_of(task) for task in members)

    def _output_of(self, task: TaskFacts) -> Hashable:
        bar = self._bars.read(task, self._run.task(task.label).bar)
        if bar.standing:
            return "stands", bar.moves
        logs = (self._run.task(task.label).log(stream) for stream in STREAMS)
        return tuple(files.size_of(path) for path in logs)

    def _open_bars(self, members: Sequence[TaskFacts]) -> Hashable:
        """What changes with the members' open bars and output. None if no bar is open."""
        bars = [self._bars.read(task, self._run.task(task.label).bar) for task in members]
        if not any(bar.open for bar in bars):
            return None
        return tuple(bar.moves for bar in bars), self._output(members)

    def _talks_more(self, task: TaskFacts, now: float) -> bool:
        """Whether the task has carried more than heartbeats since the last time."""
        talk = self._talks.get(task.name)
        if talk is None:
            traffic = self._run.task(task.label).traffic
            samples = SampleReader(TrafficSample, traffic, keep_s=0.0)
            talk = self._talks[task.name] = _Talk(samples, self._peers[task.name], now)
        recent = talk.samples.read()
        peers = recent[-1].peers if recent else {}
        carried = sum(peers[peer].bytes for peer in talk.peers if peer in peers)
        more = abs(carried - talk.carried) >= _TALK_BYTES * len(talk.peers)
        if more or now - talk.since > _TALK_S:
            talk.since, talk.carried = now, carried
        return more

    def _stopped(self, tasks: Sequence[TaskFacts], now: float) -> Iterator[str]:
        """Tasks of this machine with a process that a signal has stopped."""
        roots = {task.pid: task.name for task in tasks if task.pid is not None}
        if (
            self._found is None
            or now - self._found > _FAMILY_S
            or roots.keys() != self._families.keys()
        ):
            everybody = processes.family()
            self._families = {root: everybody.of(root) for root in roots}
            self._found = now
        for root, pids in self._families.items():
            if any(processes.state(pid) == "T" for pid in pids):
                yield roots[root]
