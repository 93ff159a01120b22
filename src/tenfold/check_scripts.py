"""Warnings about scripts whose imports a preloaded process would do too early.

Owns which jobs are looked at. Leaves to others: what scripts do (`scripts`), and what becomes of
it when they start (`launch.preloads`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenfold.file.places import Remark
from tenfold.frameworks import framework
from tenfold.scripts.wording import report
from tenfold.spec import Cluster, Job
from tenfold.words import WordsError, split


def warnings(cluster: Cluster, directory: Path) -> Iterator[Remark]:
    """A warning for each job whose script does something before its imports that they may look at.

    Reads the Python files that jobs run; of jobs that have a preload, on the local cell.
    """
    if cluster.cell not in (None, "local"):
        return
    frame = framework(cluster.framework)
    for name, job in cluster.jobs.items():
        modules = frame.preload() if job.preload is None else job.preload
        if not modules or "${" in (job.workdir or ""):
            continue
        env = cluster.env | job.env
        workdir = directory / (job.workdir or ".")
        found = report(_words(job), workdir, env, frame, name, modules)
        if found is not None:
            start = "" if found.forked else f"{name} starts without a preload: "
            yield Remark(("jobs", name, "run"), f"{start}{found.words}", found.hint)


def _words(job: Job) -> tuple[str, ...]:
    try:
        return split(job.run) if isinstance(job.run, str) else job.run or ()
    except WordsError:
        return ()
