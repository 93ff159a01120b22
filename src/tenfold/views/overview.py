"""What a run is, and how its tasks used CPU and memory over time.

The page asks for this when it opens; what changes afterwards is in its stream.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tenfold.base.naming import job_of, label_of
from tenfold.run import files
from tenfold.run.files import open_regular
from tenfold.run.jsonfiles import Problems, read_json
from tenfold.run.rundir import RunDirectory
from tenfold.traffic.samples import UsageSample, is_number, sample_of
from tenfold.views.live import LiveRun

COLUMNS = 60
"""The number of moments for which use is shown."""

_WHOLE_BYTES = 64 << 10
"""The largest file that is read as a whole. Of others, pieces are read."""

_PIECE_BYTES = 512
_MOST_BETWEEN = 3
"""The maximum number of columns between two samples for which memory is filled in."""

_MOST_TEXT = 2000
_MOST_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class JobCommand:
    """The command of the tasks of one job."""

    job: str
    tasks: int
    command: str


@dataclass(frozen=True, slots=True)
class RunAbout:
    """What was started, where, and with what."""

    file: str | None
    directory: str | None
    cell: str | None
    framework: str | None
    interpreter: str | None
    commands: tuple[JobCommand, ...]
    hosts: tuple[str, ...]
    run_directory: str
    started: float | None
    hang_after_s: float | None


@dataclass(frozen=True, slots=True)
class UsageHistory:
    """Use over time.

    `cpu` (cores) and `memory` (bytes) have a value of each task for each of `times`. A value is
    None where nothing is known of a task.
    """

    times: tuple[float, ...] = ()
    cpu: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    memory: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunOverview:
    """The answer to GET RUN/overview."""

    about: RunAbout
    usage: UsageHistory
    damaged: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """`{version, about, usage, damaged}`."""
        return {"version": 1} | asdict(self)


def overview(run: RunDirectory, now: LiveRun) -> RunOverview:
    """What the run is and used. `now` is the newest look at it."""
    problems = Problems()
    about = about_run(run, now, read_json(run.plan, problems) or {})
    names = [task.view.task for task in now.tasks]
    usage = usage_history(run, names)
    damaged = {str(path): what for path, what in problems.found.items()}
    return RunOverview(about, usage, damaged)


# what it is


def about_run(run: RunDirectory, now: LiveRun, plan: Mapping[str, Any]) -> RunAbout:
    """What the plan and the newest look say. Nothing in them causes a failure."""
    tasks = [task for task in _list(plan.get("tasks")) if isinstance(task, dict)]
    commands = _commands(tasks)
    hosts = dict.fromkeys(task.view.host for task in now.tasks)
    hang = plan.get("hang")
    after = hang.get("after_s") if isinstance(hang, dict) else None
    return RunAbout(
        file=_text(plan.get("file")),
        directory=_text(plan.get("directory")),
        cell=now.status.cell,
        framework=_text(plan.get("framework")),
        interpreter=_interpreter(tasks, plan),
        commands=commands,
        hosts=tuple(host for host in hosts if host),
        run_directory=str(run.path),
        started=now.status.started,
        hang_after_s=after if is_number(after) else None,
    )


def _text(value: object) -> str | None:
    return value[:_MOST_TEXT] if isinstance(value, str) and value else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _commands(tasks: Sequence[Mapping[str, Any]]) -> tuple[JobCommand, ...]:
    """One command of each job, and its number of tasks."""
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for task in tasks:
        name = task.get("task")
        job = job_of(name) if isinstance(name, str) and "/" in name else "?"
        words = " ".join(str(word) for word in _list(task.get("command")))
        first.setdefault(job, words[:_MOST_TEXT])
        counts[job] = counts.get(job, 0) + 1
    return tuple(JobCommand(job, counts[job], first[job]) for job in first)[:_MOST_COMMANDS]


def _interpreter(tasks: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> str | None:
    """The Python that runs the tasks, and its version, where the plan tells them."""
    python = plan.get("python")
    if isinstance(python, dict) and (path := _text(python.get("path"))):
        version = _text(python.get("version"))
        return f"{path} ({version})" if version else path
    for task in tasks:
        words = _list(task.get("command"))
        name = Path(str(words[0])).name if words else ""
        if name.startswith("python"):
            return str(words[0])[:_MOST_TEXT]
    return None


# what it used


def usage_history(run: RunDirectory, tasks: Sequence[str]) -> UsageHistory:
    """The use of all tasks since the start, in `COLUMNS` moments at most.

    Costs about the same for a run of a day as for one of a minute: CPU time is a counter, so that
    a few samples of a file suffice.
    """
    known = {task: _samples(run.task(label_of(task)).usage) for task in tasks}
    found = {task: samples for task, samples in known.items() if samples}
    if not found:
        return UsageHistory()
    first = min(samples[0].time for samples in found.values())
    last = max(samples[-1].time for samples in found.values())
    count = max(1, min(COLUMNS, int(last - first)))
    width = (last - first) / count
    times = tuple(round(first + width * (n + 1), 3) for n in range(count))
    cpu, memory = {}, {}
    for task, samples in found.items():
        cpu[task], memory[task] = _columns(samples, first, width, count)
    return UsageHistory(times, cpu, memory)


Column = tuple[float | None, ...]


def _columns(
    samples: Sequence[UsageSample], first: float, width: float, count: int
) -> tuple[Column, Column]:
    """CPU and memory of one task in each column: CPU on average, memory at its end."""
    cpu: list[float | None] = [None] * count
    memory: list[float | None] = [None] * count
    before, begin = samples[0], _column(samples[0].time, first, width, count)
    memory[begin] = before.memory
    for sample in samples[1:]:
        at = _column(sample.time, first, width, count)
        used = _cores(before, sample)
        if used is not None:
            start = begin if cpu[begin] is None or begin == at else begin + 1
            cpu[start : at + 1] = [used] * (at + 1 - start)
        between = memory[begin] if at - begin <= _MOST_BETWEEN else None
        memory[begin + 1 : at] = [between] * max(0, at - begin - 1)
        memory[at] = sample.memory
        before, begin = sample, at
    return tuple(cpu), tuple(memory)


def _column(time: float, first: float, width: float, count: int) -> int:
    return min(count - 1, max(0, int((time - first) / width))) if width > 0 else 0


def _cores(before: UsageSample, after: UsageSample) -> float | None:
    seconds = after.time - before.time
    if seconds <= 0 or before.cpu_s is None or after.cpu_s is None:
        return None
    return round(max(0.0, after.cpu_s - before.cpu_s) / seconds, 3)


def _samples(path: Path) -> list[UsageSample]:
    """About `COLUMNS` samples of a file, evenly from all of it, in order."""
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= _WHOLE_BYTES:
                lines = stream.read(_WHOLE_BYTES).splitlines()
                step = max(1, len(lines) // (2 * COLUMNS))
                lines = [*lines[:-1:step], *lines[-1:]]
            else:
                lines = list(_pieces(stream.fileno(), min(size, files.MOST_BYTES)))
    except OSError:
        return []
    found = [sample for line in lines if (sample := sample_of(UsageSample, line))]
    return sorted(found, key=lambda used: used.time)


def _pieces(descriptor: int, size: int) -> list[bytes]:
    """A whole line from each of some evenly chosen places of a file."""
    found = []
    for place in range(COLUMNS + 1):
        start = (size - _PIECE_BYTES) * place // COLUMNS
        lines = os.pread(descriptor, _PIECE_BYTES, start).split(b"\n")
        whole = lines[1:-1] if start else lines[:-1]
        found += whole[-1:] if place == COLUMNS else whole[:1]
    return found
