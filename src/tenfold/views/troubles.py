"""Problems of a run besides a task's end.

Hangs, crash loops, a full disk, silence, and damage.

Each trouble is a sentence's worth of words and what to do. Pure over `RunFacts`; the worst first.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tenfold.base.naming import job_of
from tenfold.base.quantities import duration_text, limit_text, memory_text
from tenfold.cluster.cell_table import runs_on_this_machine
from tenfold.frameworks import framework_of
from tenfold.planning.edges import cut_off
from tenfold.run.states import UNSTARTED, State
from tenfold.run.statusfiles import HangStatus, TaskStatus
from tenfold.supervise.deaths import ending
from tenfold.supervise.lingering import Rank, lingering
from tenfold.views import notfinite
from tenfold.views.endings import signal_number
from tenfold.views.facts import RunFacts
from tenfold.views.traffic import CUT, MapEdge

Kind = Literal[
    "hang",
    "cut",
    "disk",
    "unkillable",
    "crash-loop",
    "not-ready",
    "silent",
    "lingering",
    "waiting",
    "not-finite",
    "stale",
    "damaged",
]

LITTLE_DISK = 64 << 20
"""A smaller number of free bytes is little. Of a small disk, a twentieth is."""

_LONG_WAIT_S = 10.0
_SILENT_S = 30.0
_TALKS_S = 10.0
_ALIVE_S = 3.0
_STALE_S = 10.0
_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem. `words` follow the cluster's name and a colon.

    `hint` is what to do.

    `now`: it lasts, as far as the files tell; otherwise it was so, and is over. `next` are commands
    that help on.
    """

    kind: Kind
    words: str
    hint: str | None = None
    task: str | None = None
    time: float | None = None
    now: bool = True
    next: tuple[str, ...] = ()


def troubles(facts: RunFacts, edges: Sequence[MapEdge], now: float) -> list[Trouble]:
    """All problems at `now` (seconds since 1970). `edges` are those of the map."""
    up = facts.status.age_s is not None
    found = [*_hang(facts, up), *_disk(facts), *_unsaved(facts), *_unkillable(facts)]
    if up:
        found += _cut(facts, edges, now)
        found += [*_stale(facts), *_crash_loops(facts, now), *_not_ready(facts, now)]
        found += [*_silent(facts, edges, now), *_lingering(facts, now), *_waiting(facts, now)]
    return [*found, *_not_finite(facts), *_damaged(facts)]


def _not_finite(facts: RunFacts) -> Iterator[Trouble]:
    odd = facts.status.not_finite
    if (said := notfinite.words(odd)) is not None:
        lasts = any(one.until is None for one in odd)
        hint = "use a smaller learning rate; resume from an earlier checkpoint" if lasts else None
        yield Trouble("not-finite", said, hint, odd[0].task, now=lasts)


def _hang(facts: RunFacts, up: bool) -> Iterator[Trouble]:
    """The hang in status.json. Otherwise the hangs that were reported and ended."""
    if (told := facts.status.hang) is not None:
        yield _one_hang(facts, told, now=up)
        return
    events = facts.of_kind("hang", "progress-resumed")
    if hangs := [event for event in events if event.kind == "hang"]:
        told = HangStatus.from_json(hangs[-1].to_json())
        yield _one_hang(facts, told, now=up and events[-1].kind == "hang")
    elif facts.hangs and not events:
        path, last = facts.hangs[-1]
        yield _one_hang(facts, HangStatus(last.time, last.task, last.words, str(path)), now=False)


def _one_hang(facts: RunFacts, told: HangStatus, *, now: bool) -> Trouble:
    task = told.task
    report = told.report or (str(facts.hangs[-1][0]) if facts.hangs else None)
    commands = [f"less {shlex.quote(str(report))}"] if report else []
    if now:
        commands.append(f"tenfold stacks {facts.cluster}")
        commands += [f"tenfold restart {facts.cluster} {task}"] if task else []
    return Trouble(
        "hang",
        told.words or "it makes no progress",
        f"stacks of all tasks: {report}" if report else None,
        task,
        told.time,
        now,
        tuple(commands),
    )


def _disk(facts: RunFacts) -> Iterator[Trouble]:
    """A disk that is full now, or was."""
    events = facts.of_kind("disk-full", "disk-back")
    full = {}
    for event in events:
        path = event.text("path") or "?"
        full[path] = event
        if event.kind == "disk-back":
            del full[path]
    place = str(facts.run.path)
    disk = facts.disk
    if disk is not None and (disk.free < min(LITTLE_DISK, disk.total // 20) or not disk.files_left):
        left = memory_text(disk.free) if disk.files_left else "no space for new files"
        words = f"the disk of {place} is full ({left} free)"
        yield Trouble(
            "disk", words, f"free space there: du -xsh {facts.run.path.parent.parent}/*/*"
        )
    elif full:
        path = next(iter(full))
        words = f"the disk refused to write {path}"
        yield Trouble("disk", words, f"df -h {path}", time=full[path].time)
    elif events:
        lost = int(sum(event.number("lost_bytes") or 0 for event in events))
        words = "a disk was full for a while; " + (
            f"{memory_text(lost)} of output were lost" if lost else "no output was lost"
        )
        yield Trouble("disk", words, time=events[-1].time, now=False)


def _unsaved(facts: RunFacts) -> Iterator[Trouble]:
    """Checkpoints that a task could not save.

    They may be on another disk than the run.
    """
    for task, said in facts.unsaved.items():
        words = f"{task} cannot save its checkpoints ({said.words})"
        if facts.checkpoint is not None:
            words += f"; the last good one is {facts.checkpoint.name}"
        place = shlex.quote(said.place)
        yield Trouble("disk", words, f"df -h {place}", task, said.time)


def _unkillable(facts: RunFacts) -> Iterator[Trouble]:
    for event in facts.of_kind("task-unkillable"):
        task, pid = event.task, event.number("pid")
        where = f" (pid {pid})" if pid else ""
        look = f"ps -o pid,stat,wchan:30 -p {pid}: D waits in the kernel for a disk"
        hint = look if pid else None
        yield Trouble("unkillable", f"{task}{where} was killed and does not end", hint,
                      str(task), event.time)  # fmt: skip


def _stale(facts: RunFacts) -> Iterator[Trouble]:
    age_s = facts.status.age_s
    if age_s is not None and age_s > _STALE_S and runs_on_this_machine(facts.status.cell):
        pid = facts.said.supervisor_pid
        words = f"its supervisor is alive, but has not responded for {duration_text(age_s)}"
        yield Trouble(
            "stale",
            words,
            f"check whether it is stopped: ps -o pid,stat -p {pid}; kill -CONT {pid}",
        )


def _crash_loops(facts: RunFacts, now: float) -> Iterator[Trouble]:
    for task in facts.status.tasks:
        if task.state != State.RESTARTING:
            continue
        name = task.task
        spent, limit = budget(facts, name, now)
        due = _next_start(facts, name)
        when = (
            f"starts again in {duration_text(due - now)}" if due and due > now else "starts again"
        )
        words = f"{name} {how_it_ended(facts, name)} and {when}"
        if limit is not None:
            words += f" ({spent} of {limit} restarts used)"
        hint = f"tenfold logs {facts.cluster} {name}"
        yield Trouble("crash-loop", words, hint, name, task.ended)


def budget(facts: RunFacts, task: str, now: float) -> tuple[int, int | None]:
    """How many restarts a task has used within its window, and its limit."""
    rule = facts.plan.task(task).restart
    retried = facts.tasks[task].retried if task in facts.tasks else ()
    window_s = math.inf if rule.window_s is None else rule.window_s
    return sum(one > now - window_s for one in retried), rule.limit


def _next_start(facts: RunFacts, task: str) -> float | None:
    for event in reversed(facts.events):
        if event.kind == "task-retried" and event.task == task:
            begin, in_s = event.time, event.number("in_s")
            return None if begin is None or in_s is None else begin + in_s
    return None


def how_it_ended(facts: RunFacts, task: str) -> str:
    """How a task's last life ended, for a sentence that begins with its name."""
    said = facts.tasks.get(task) or TaskStatus()
    return said.reason or ending(said.exit_code, signal_number(said.signal))


def _not_ready(facts: RunFacts, now: float) -> Iterator[Trouble]:
    """Tasks that run for long but are not ready."""
    for task in facts.status.tasks:
        began, said = task.started, task.waits
        if task.state != State.STARTING or began is None:
            continue
        if now - began < _LONG_WAIT_S and not said:
            continue
        ready = facts.plan.task(task.task).ready
        limit = f" of at most {limit_text(ready.timeout_s)}" if ready.timeout_s else ""
        waits = _READY.get(ready.kind or "", "is not ready")
        words = f"waiting for {task.task}: {said}" if said else f"{task.task} {waits}"
        words += f" ({duration_text(now - began)}{limit})"
        hint = f"tenfold logs {facts.cluster} {task.task}"
        yield Trouble("not-ready", words, hint, task.task, began)


_READY = {
    "tcp": "does not respond on its port yet",
    "http": "does not respond on its page yet",
    "command": "runs, but its readiness command fails",
    "log": "has not written its readiness line",
}


def _waiting(facts: RunFacts, now: float) -> Iterator[Trouble]:
    """Tasks that wait for others for long, and the tasks they wait for."""
    began = facts.status.started
    waiting = [task for task in facts.status.tasks if task.state == State.WAITING]
    if not waiting or began is None or now - began < _LONG_WAIT_S:
        return
    states = {task.task: task.state for task in facts.status.tasks}
    awaited: dict[str, None] = {}
    for task in waiting:
        for job, condition in facts.plan.task(task.task).after.items():
            for name, state in states.items():
                if job_of(name) == job and not _is_so(state, condition):
                    awaited[f"{name} ({state})"] = None
    names = names_of([task.task for task in waiting])
    if facts.status.reason and not awaited:
        yield Trouble("waiting", f"{names} waits: {facts.status.reason}")
    elif awaited:
        first = next(iter(awaited)).partition(" ")[0]
        hint = f"tenfold logs {facts.cluster} {first}"
        yield Trouble("waiting", f"{names} waits for {names_of(awaited)}", hint)


def _is_so(state: str, condition: object) -> bool:
    if condition == "succeeded":
        return state == State.SUCCEEDED
    if condition == "started":
        return state not in UNSTARTED
    return state in (State.RUNNING, State.SUCCEEDED)


def _cut(facts: RunFacts, edges: Sequence[MapEdge], now: float) -> Iterator[Trouble]:
    """Tasks that are cut off from the others.

    Their machines or networks do not answer.
    """
    known = {
        edge.ends: edge.mark == CUT
        for edge in edges
        if edge.mark == CUT or now - (edge.last_byte or 0.0) < _ALIVE_S
    }
    if (found := cut_off(known)) is not None:
        hint = "check the network between them (ping, firewall); see each edge with `tenfold map`"
        states = {task.task for task in facts.status.tasks}
        task = next((name for name in found.tasks if name in states), None)
        yield Trouble("cut", found.words, hint, task)


def _silent(facts: RunFacts, edges: Sequence[MapEdge], now: float) -> Iterator[Trouble]:
    """Tasks from which nothing is received while others communicate."""
    states = {task.task: task for task in facts.status.tasks}
    last: dict[str, float] = {}
    for edge in edges:
        if edge.expected and edge.bytes is not None:
            ends = [end for end in edge.ends if end in states]
            for end in ends:
                last[end] = max(last.get(end, 0.0), edge.last_byte or 0.0)
    talking = max(last.values(), default=0.0)
    if now - talking > _TALKS_S:
        return
    for name, heard in last.items():
        since = max(heard, states[name].started or 0.0)
        if states[name].state == State.RUNNING and since and now - since > _SILENT_S:
            ever = f"for {duration_text(now - heard)}" if heard else "since the start"
            words = f"{name} has been silent {ever}, and the other tasks communicate"
            yield Trouble("silent", words, f"tenfold stacks {name}; tenfold map", name, since)


def _lingering(facts: RunFacts, now: float) -> Iterator[Trouble]:
    """Ranks that still run although the others of their group have ended well."""
    ranks = []
    for task in facts.status.tasks:
        if not facts.plan.task(task.task).service:
            well = task.state == State.SUCCEEDED
            job = job_of(task.task)
            running = task.state == State.RUNNING
            ranks.append(Rank(task.task, job, running, task.ended if well else None))
    for found in lingering(framework_of(facts.plan.framework), ranks, now):
        hint = f"see where it is: tenfold stacks {facts.cluster}"
        yield Trouble("lingering", found.words(now), hint, found.tasks[0], found.since,
                      next=(f"tenfold stacks {facts.cluster}",))  # fmt: skip


def _damaged(facts: RunFacts) -> Iterator[Trouble]:
    for event in facts.of_kind("set-aside"):
        words = f"{event.text('file')} was damaged, and is renamed to {event.text('as')}"
        yield Trouble("damaged", words, time=event.time, now=False)
    for path, what in facts.damaged.items():
        yield Trouble("damaged", f"{path} {what}", "the rest is used without it")
    for path, what in facts.bad_checkpoints.items():
        yield Trouble("damaged", f"checkpoint {path}: {what}", "an older one is used", now=False)


def names_of(names: Iterable[str]) -> str:
    """`ps/0, ps/1 and 3 more`."""
    every = list(names)
    shown = ", ".join(every[:_MOST_NAMES])
    return f"{shown} and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else shown
