"""Faults of `${jobs.JOB.addresses.0}` and similar: the task does not exist.

Owns: finding these names in everything that is filled in when tasks start. Leaves to others: names
that no file could have (`cluster.file.interpolate`) and what they stand for (`late`).
"""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.cluster.file.places import Remark, Where
from tenfold.cluster.spec import Cluster, Job, Override
from tenfold.cluster.template import TemplateError, references
from tenfold.errors import shown


def remarks(cluster: Cluster, dropped: frozenset[Where] = frozenset()) -> Iterator[Remark]:
    """Every reference to a task beyond its job's last."""
    sizes = {
        name: job.tasks
        for name, job in cluster.jobs.items()
        if not {("jobs", name), ("jobs", name, "tasks")} & dropped
    }
    for where, text in _texts(cluster):
        for job, index in _indexes(text):
            if job in sizes and index >= sizes[job]:
                last = sizes[job] - 1
                message = (
                    f"there is no task {index} in job {shown(job)} (number of tasks: {sizes[job]})"
                )
                hint = "write 0, its only task" if last == 0 else f"write a number from 0 to {last}"
                yield Remark(where, message, hint)


def _indexes(text: str) -> Iterator[tuple[str, int]]:
    try:
        found = references(text) if "${" in text else []
    except TemplateError:
        return  # a fault of its own
    for reference in found:
        match reference.name.split("."):
            case ["jobs", job, ("addresses" | "hosts" | "ports"), index] if index.isdecimal():
                yield job, int(index)


def _texts(cluster: Cluster) -> Iterator[tuple[Where, str]]:
    """Every text that is filled in when tasks start, with its path."""
    for name, value in cluster.env.items():
        yield ("env", name), value
    for name, job in cluster.jobs.items():
        where: Where = ("jobs", name)
        yield from _of_job(where, job)
        if job.ready is not None:
            for key in ("http", "command", "log"):
                if text := getattr(job.ready, key):
                    yield (*where, "ready", key), text
        for key, override in job.overrides.items():
            yield from _of_job((*where, "overrides", key), override)


def _of_job(where: Where, job: Job | Override) -> Iterator[tuple[Where, str]]:
    if isinstance(job.run, str):
        yield (*where, "run"), job.run
    for position, word in enumerate(job.run or () if not isinstance(job.run, str) else ()):
        yield (*where, "run", position), word
    for name, value in job.env.items():
        yield (*where, "env", name), value
    if job.workdir is not None:
        yield (*where, "workdir"), job.workdir
