"""Find the likely culprit of a standstill, and the reason. Pure.

Most of the tasks of a cluster that hangs are well: they wait for one that is not. What tells it
from the others is tried in order, from what is certain (a signal has stopped it) to what is only
likely (it computes, and all others wait).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tenfold.base.quantities import duration_text
from tenfold.debug.accounts import Silence
from tenfold.debug.groups import Path, kind_of
from tenfold.debug.stacks import TaskStacks
from tenfold.planning import edges
from tenfold.run.states import State

_DOWN = (State.RESTARTING, State.FAILED, State.LOST)
_LEAST = 3
"""Of fewer tasks than these, none is the odd one out."""

_LONGER_S = 3.0
"""How many seconds longer than usual a silent task is suspected after."""

_BUSY, _IDLE = 0.5, 0.1
_NETWORK = ("wait_woken", "inet_csk_accept", "ep_poll", "poll", "unix_stream", "tcp", "sk_wait")
"""Beginnings of kernel functions in which a thread waits for a peer to send."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a standstill.

    Attributes:
        silences: of the edges that are planned and sure.
        cores: cores that each task has used lately.
        accused: the task that has stopped to make progress while others went on, if that is it.
    """

    tasks: Sequence[TaskStacks]
    silences: Sequence[Silence] = ()
    cores: Mapping[str, float] = field(default_factory=dict)
    accused: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """A task, and the evidence against it, as text that follows its name."""

    task: str
    because: str


def suspects(evidence: Evidence) -> list[Suspect]:
    """Tasks with evidence against them, the likeliest culprit first.

    Each is listed once, with its gravest reason.
    """
    found: dict[str, Suspect] = {}
    for rule in _RULES:
        for suspect in rule(evidence):
            found.setdefault(suspect.task, suspect)
    return list(found.values())


def _stopped(evidence: Evidence) -> Iterator[Suspect]:
    for one in evidence.tasks:
        if one.stopped:
            pids = " ".join(str(process.pid) for process in one.stopped)
            command = f"kill -CONT {pids}"
            if one.elsewhere:
                command = f"tenfold exec {one.task} -- sh -c '{command}'"
            words = f"is stopped by a signal (state T); `{command}` continues it"
            yield Suspect(one.task, words)


def _cut_off(evidence: Evidence) -> Iterator[Suspect]:
    found = edges.cut_off(
        {(e.one, e.other): e.cut for e in evidence.silences if e.cut or _is_alive(e)}
    )
    if found is not None:
        yield from (Suspect(task, found.of(task)) for task in found.tasks)


def _is_alive(edge: Silence) -> bool:
    return edge.seconds is not None and edge.seconds < _LONGER_S


def _deep(evidence: Evidence) -> Iterator[Suspect]:
    for one in evidence.tasks:
        for process in one.processes:
            if process.state == "D":
                where = f" in {process.wchan}" if process.wchan else ""
                words = f"waits in the kernel{where} (state D): a disk or a network file system"
                yield Suspect(one.task, words)


def _down(evidence: Evidence) -> Iterator[Suspect]:
    for one in evidence.tasks:
        if one.phase in _DOWN:
            yield Suspect(one.task, f"is not running: {one.phase}")


def _accused(evidence: Evidence) -> Iterator[Suspect]:
    if evidence.accused is not None:
        yield Suspect(evidence.accused, "makes no progress while others do")


def _different(evidence: Evidence) -> Iterator[Suspect]:
    """Tasks whose main thread is elsewhere than most of their job's.

    Without such a task, those whose other threads are.
    """
    jobs: dict[str, list[TaskStacks]] = {}
    for one in evidence.tasks:
        if one.told is not None:
            jobs.setdefault(one.job, []).append(one)
    main = [*_odd_ones(jobs, lambda one: kind_of(one).main)]
    yield from main or _odd_ones(jobs, lambda one: kind_of(one).others)


def _odd_ones(
    jobs: Mapping[str, Sequence[TaskStacks]], key: Callable[[TaskStacks], Path | frozenset[Path]]
) -> Iterator[Suspect]:
    for job, ones in jobs.items():
        usual, count = Counter(map(key, ones)).most_common(1)[0]
        if len(ones) < _LEAST or 2 * count <= len(ones):
            continue
        where = _where(next(one for one in ones if key(one) == usual))
        for one in ones:
            if key(one) != usual:
                others = f"{count} of {len(ones)} {job} tasks"
                words = f"is at {_where(one)}; {others} are at {where}"
                if _where(one) == where:
                    words = f"is at {where} by another way, or with other threads, than {others}"
                yield Suspect(one.task, words)


def _where(one: TaskStacks) -> str:
    """The call of the user's own code in which a task's main thread is."""
    own = one.told.stacks[0].own if one.told else None
    return own.words if own else "no Python code"


def _unheard(evidence: Evidence) -> Iterator[Suspect]:
    """Tasks that were silent for longer than is usual now."""
    heard: dict[str, float] = {}
    for edge in evidence.silences:
        for end in (edge.one, edge.other):
            seconds = float("inf") if edge.seconds is None else edge.seconds
            heard[end] = min(seconds, heard.get(end, float("inf")))
    if len(heard) < _LEAST:
        return
    usual = statistics.median(heard.values())
    for task, seconds in sorted(heard.items(), key=lambda item: -item[1]):
        if seconds > usual + _LONGER_S:
            since = (
                "since the start" if seconds == float("inf") else f"for {duration_text(seconds)}"
            )
            yield Suspect(task, f"has been silent {since}")


def _busy(evidence: Evidence) -> Iterator[Suspect]:
    """The only one that computes."""
    busy = [task for task, used in evidence.cores.items() if used >= _BUSY]
    idle = [task for task, used in evidence.cores.items() if used < _IDLE]
    if len(busy) == 1 and idle and len(idle) == len(evidence.cores) - 1:
        used = 100 * evidence.cores[busy[0]]
        yield Suspect(busy[0], f"computes ({used:.0f} % of a core), and all others wait")


def _awaited(evidence: Evidence) -> Iterator[Suspect]:
    """The only one that does not wait for others."""
    waits = {
        one.task: (told.wchan or "").removeprefix("do_").startswith(_NETWORK)
        for one in evidence.tasks
        if (told := one.told) is not None and told.wchan is not None
    }
    own = [task for task, waiting in waits.items() if not waiting]
    if len(own) == 1 and len(waits) > 1:
        yield Suspect(
            own[0], "does not wait for a peer, while all others wait on their connections"
        )


_RULES: tuple[Callable[[Evidence], Iterator[Suspect]], ...] = (
    _stopped, _cut_off, _deep, _down, _accused, _different, _unheard, _busy, _awaited,
)  # fmt: skip
