"""Warn about what the scripts of jobs do before their imports.

Owns which jobs are looked at, and what is known of their environment. Leaves to others: what
scripts do (`scripts`), and what becomes of it when they start (`launch.preloads`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tenfold.cluster.cell_table import DEFAULT, traits
from tenfold.cluster.command_line import WordsError, split
from tenfold.cluster.file.places import Remark
from tenfold.cluster.programs import script_of
from tenfold.cluster.scripts.early import actions, files_read
from tenfold.cluster.scripts.sources import MOST_BYTES
from tenfold.cluster.scripts.wording import report
from tenfold.cluster.spec import Cluster, Job
from tenfold.frameworks import JobFacts, framework


def warnings(cluster: Cluster, directory: Path) -> Iterator[Remark]:
    """A warning for each job whose script acts before its imports.

    Only what the imports may look at counts.

    Reads the Python files that jobs run; of jobs that have a preload, on the local cell.
    """
    if not traits(cluster.cell or DEFAULT).forks:
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


def facts(cluster: Cluster, directory: Path) -> list[JobFacts]:
    """What a framework may look at when it gives advice, a job each."""
    return [
        JobFacts(
            name,
            job.tasks,
            None if job.run is None else _words(job),
            _source(job, cluster.env, directory),
            job.preload != (),
            _variables(job, cluster.env, directory),
        )
        for name, job in cluster.jobs.items()
    ]


def _source(job: Job, env: Mapping[str, str], directory: Path) -> str | None:
    words = _words(job)
    script = script_of(words)
    if script is None or "${" in (job.workdir or ""):
        return None
    workdir = directory / (job.workdir or ".")
    main = _text(workdir / script)
    if main is None:
        return None
    local = files_read(words, workdir, {**os.environ, **env, **job.env})
    texts = (_text(file) for file in local if file != Path(os.path.realpath(workdir / script)))
    return "\n".join([main, *(text for text in texts if text is not None)])


def _text(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None


def _variables(job: Job, env: Mapping[str, str], directory: Path) -> dict[str, str]:
    """What is known of the environment of a job's tasks when they import something.

    The shell's, the file's, and what the script and its local modules set to a known text.
    """
    known: dict[str, str] = {**os.environ, **env, **job.env}
    if "${" in (job.workdir or ""):
        return known
    for action in actions(_words(job), directory / (job.workdir or "."), known):
        if action.variable is None or (action.default and action.variable in known):
            continue
        if action.value is None:
            known.pop(action.variable, None)
        else:
            known[action.variable] = action.value
    return known


def _words(job: Job) -> tuple[str, ...]:
    try:
        return split(job.run) if isinstance(job.run, str) else job.run or ()
    except WordsError:
        return ()
