"""The cluster's own curves, beside the training's: who talks to whom and what tasks use, by job.

TensorBoard's task writes them to `tensorboard/tenfold`, since it has TensorBoard's writer and looks
at the run directory anyway. Steps are seconds since the run's start.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tenfold.rundir import RunDirectory

EVERY_S = 10.0
NAME = "tenfold"


def keep_writing(run: RunDirectory) -> None:
    """Write a point of every curve now and then, on the side, as long as this process lives."""
    threading.Thread(target=_write_on, args=(run,), name="curves", daemon=True).start()


def _write_on(run: RunDirectory) -> None:
    from tensorboard.summary import Writer

    # What views give is drawn here, too; this process reads the run, and is a view in all but name.
    from tenfold.views.traffic import MapReader
    from tenfold.views.usage import UsageReader

    traffic, usage = MapReader(run), UsageReader(run)
    pause = threading.Event()
    writer = Writer(str(run.shared("tensorboard") / NAME))
    while not pause.wait(EVERY_S):
        with contextlib.suppress(Exception):  # damaged samples, a full disk: these points are lost
            shown = traffic.read()
            tasks = [task["task"] for task in shown["tasks"]]
            for tag, value in points_of(shown, usage.read(tasks)):
                writer.add_scalar(tag, value, int(shown["seconds"]))
            writer.flush()


def points_of(
    shown: Mapping[str, Any], usage: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, float]]:
    """Tags and values of one moment: bytes a second by pair of jobs, cores and bytes by job."""
    for group in shown["groups"]:
        if group["bytes"]:
            yield f"traffic, bytes a second/{group['from']} - {group['to']}", group["rate_bytes_s"]
    cpu: dict[str, float] = defaultdict(float)
    memory: dict[str, float] = defaultdict(float)
    for task, used in usage.items():
        job = task.rpartition("/")[0]
        if used["cpu"] is not None:
            cpu[job] += used["cpu"]
        if used["memory"] is not None:
            memory[job] += used["memory"]
    yield from ((f"CPU, cores/{job}", value) for job, value in cpu.items())
    yield from ((f"memory, bytes/{job}", value) for job, value in memory.items())
