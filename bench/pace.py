"""How fast a training goes: marks on the way, and what follows from them.

    marks = []
    done = followed([*TENFOLD, "up", file, "--runs", runs], runs, "chief-0", marks, timeout_s=600)
    pace = Pace.of(marks)

Owns: following a cluster's progress from outside, by the file that `tenfold.progress` writes.
Leaves to others: what a unit of progress is.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from clusters import environment, tree
from measure import process

_LOOK_S = 0.1
"""Half of what lies between two words of `tenfold.progress` that are not the last."""


@dataclass(frozen=True)
class Mark:
    """At ``time`` (seconds, any origin), ``done`` units; ``cpu`` seconds of CPU used so far."""

    time: float
    done: float
    cpu: float


@dataclass(frozen=True)
class Pace:
    """``steady``: units/s between the first tenth of the way and the last, when everything is
    compiled and all are at work (of the whole way if that is too short to be seen); ``seconds`` and
    ``cpu_s``: the whole way, compilation included."""

    steady: float
    seconds: float
    cpu_s: float

    @classmethod
    def of(cls, marks: Sequence[Mark]) -> Pace:
        """From marks in order. Raises RuntimeError if they do not show a beginning and a way."""
        begin = max((n for n, mark in enumerate(marks) if mark.done == 0), default=None)
        if begin is None or begin + 1 == len(marks):
            raise RuntimeError(f"{len(marks)} marks are too few to tell a pace: a longer text?")
        start, last = marks[begin], marks[-1]
        middle = [m for m in marks[begin:] if 0.1 <= m.done / last.done <= 0.9]
        first, until = (middle[0], middle[-1]) if len(middle) > 1 else (start, last)
        return cls(
            steady=(until.done - first.done) / (until.time - first.time),
            seconds=last.time - start.time,
            cpu_s=last.cpu - start.cpu,
        )


def followed(
    argv: Sequence[str | Path], runs: Path, label: str, marks: list[Mark], *, timeout_s: float
) -> float:
    """Run `tenfold up` to its end, adding the progress of the task ``label``; seconds it took.

    Raises RuntimeError with its last words if it fails, or takes longer than ``timeout_s``; no
    descendant of it is left then.
    """
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        options = {"stdout": said, "stderr": subprocess.STDOUT, "env": environment()}
        with process(argv, **options) as started:
            while started.poll() is None and time.monotonic() < begun + timeout_s:
                _look(runs, label, started.pid, marks)
                time.sleep(_LOOK_S)
            code = started.poll()
        if code != 0:
            said.seek(0)
            how = f"took longer than {timeout_s:.0f} s" if code is None else f"ended with {code}"
            raise RuntimeError(f"{' '.join(map(str, argv))} {how}: {said.read().strip()[-500:]}")
    seconds = time.monotonic() - begun
    _look(runs, label, None, marks)
    return seconds


def _look(runs: Path, label: str, pid: int | None, marks: list[Mark]) -> None:
    """Add a mark if the task has said something new."""
    for file in runs.glob(f"*/*/tasks/{label}/progress.json"):
        told = json.loads(file.read_text(encoding="utf-8"))
        if not marks or told["time"] > marks[-1].time:
            cpu = cpu_seconds(tree(pid)) if pid else marks[-1].cpu if marks else 0.0
            marks.append(Mark(told["time"], told["done"], cpu))


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """CPU time of processes so far, of all their threads."""
    total = 0.0
    for each in processes:
        try:
            used = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total
