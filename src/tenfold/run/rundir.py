"""The run directory: the cluster's memory, as plain files.

Owns the paths, the lock that tells whether a run's supervisor is alive, and finding runs. Each file
has a module with a type, a writer and a reader.

    <runs>/<cluster>/<run-id>/
      plan.json  status.json  events.jsonl  supervisor.log  supervisor.lock
      tasks/worker-3/  status.json  stdout.log  stdout.times  stderr.log  stderr.times
                        traffic.jsonl  usage.jsonl  progress.json  placement.json  …
      tensorboard/  checkpoints/  results/

JSON files are written whole and renamed into place; `.jsonl` files are only appended to, by one
writer each. A damaged file is reported by name and never stops a reader.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from tenfold.base.nearest import did_you_mean
from tenfold.base.older import UTC
from tenfold.base.paths import user_path
from tenfold.errors import InputError, TenfoldError
from tenfold.run import files, records
from tenfold.run.files import set_aside
from tenfold.run.jsonfiles import Problems, read_json
from tenfold.run.locks import is_held
from tenfold.run.states import TERMINAL

SHARED = ("tensorboard", "checkpoints", "results")
"""Directories of a run that tasks write to and that outlive the tasks."""

_LOCK_S = 5.0


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run's directory. Making this object touches no file, but `create` does."""

    path: Path

    @property
    def cluster(self) -> str:
        """The name of the cluster."""
        return self.path.parent.name

    @property
    def run(self) -> str:
        """The run-id, which sorts by the time of the start."""
        return self.path.name

    @property
    def plan(self) -> Path:
        """`plan.json`: the plan of the run, with secrets hidden."""
        return self.path / "plan.json"

    @property
    def status(self) -> Path:
        """`status.json`: the cluster's state, why it ended, its first failure."""
        return self.path / "status.json"

    @property
    def events(self) -> Path:
        """`events.jsonl`: everything that happened, in order."""
        return self.path / "events.jsonl"

    @property
    def lock(self) -> Path:
        """`supervisor.lock`: locked for as long as the supervisor lives."""
        return self.path / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """`supervisor.log`: output of the supervisor itself. Empty if all is well."""
        return self.path / "supervisor.log"

    @property
    def control(self) -> Path:
        """`control.sock`: the socket for requests to the supervisor."""
        return self.path / "control.sock"

    @property
    def elsewhere(self) -> Path:
        """`elsewhere.json`: who runs the supervisor.

        Written if the supervisor is not a process of this host.
        """
        return self.path / "elsewhere.json"

    @property
    def resumed(self) -> Path:
        """`resumed.json`: which run this run resumes, and where that run is."""
        return self.path / "resumed.json"

    @property
    def annotations(self) -> Path:
        """`annotations.json`: tags and a note of the user (`run.annotations`)."""
        return self.path / "annotations.json"

    def shared(self, name: str) -> Path:
        """One of `SHARED`."""
        return self.path / name

    def task(self, label: str) -> TaskDirectory:
        """The directory of the task with this label (`worker-3`)."""
        return TaskDirectory(self.path / "tasks" / label)

    def tasks(self) -> list[TaskDirectory]:
        """The tasks that have a directory, in the order of their names."""
        found = files.directories(self.path / "tasks")
        return [self.task(name) for name in found if records.label(name)]

    def alive(self) -> bool:
        """Whether the run is up: its supervisor lives, or will start elsewhere.

        Its lock tells on this host. Of a run whose supervisor is elsewhere, status.json tells; its
        cell writes it when nobody else does (`tenfold.cells.ClientSide.settle`).
        """
        return self.locked() or (
            self.is_elsewhere() and (read_json(self.status) or {}).get("state") not in TERMINAL
        )

    def is_elsewhere(self) -> bool:
        """Whether the supervisor is not a process of this host."""
        return files.exists(self.elsewhere)

    def locked(self) -> bool:
        """Whether a process that shares locks with this host supervises the run."""
        return is_held(self.lock)


@dataclass(frozen=True, slots=True)
class TaskDirectory:
    """The files of one task in its run's directory."""

    path: Path

    @property
    def label(self) -> str:
        """`worker-3`."""
        return self.path.name

    @property
    def status(self) -> Path:
        """`status.json`: the task's state, address, pid and how it ended."""
        return self.path / "status.json"

    @property
    def progress(self) -> Path:
        """`progress.json`: the progress that the task last reported."""
        return self.path / "progress.json"

    @property
    def progress_log(self) -> Path:
        """`progress.jsonl`: its reports over time, for curves."""
        return self.path / "progress.jsonl"

    @property
    def bar(self) -> Path:
        """`bar.json`: the progress bar that the task drew last."""
        return self.path / "bar.json"

    @property
    def unsaved(self) -> Path:
        """`unsaved.json`: why the task's last checkpoint could not be saved.

        Removed when a checkpoint was saved.
        """
        return self.path / "unsaved.json"

    @property
    def placement(self) -> Path:
        """`placement.json`: the task's variables, and where they are placed."""
        return self.path / "placement.json"

    @property
    def life(self) -> Path:
        """`life.json`: the last report of the task runner, on cells that have one."""
        return self.path / "life.json"

    @property
    def unready(self) -> Path:
        """`unready.json`: why a running task is not ready."""
        return self.path / "unready.json"

    @property
    def ready(self) -> Path:
        """`ready`: exists while the task is ready, on cells with a task runner."""
        return self.path / "ready"

    @property
    def traffic(self) -> Path:
        """`traffic.jsonl`: bytes sent to each peer so far, written once a second."""
        return self.path / "traffic.jsonl"

    @property
    def usage(self) -> Path:
        """`usage.jsonl`: its CPU time and memory, once a second."""
        return self.path / "usage.jsonl"

    @property
    def token(self) -> Path:
        """`token`: the secret of the task's page, if it has one. Mode 0600."""
        return self.path / "token"

    def log(self, stream: str) -> Path:
        """What the task wrote to `stdout` or `stderr`, in all its lives."""
        return self.path / f"{stream}.log"

    def older_log(self, stream: str) -> Path:
        """The previous log of a stream, after the log has reached its limit.

        See `run.logs.files`.
        """
        return self.path / f"{stream}.log.1"

    def broken(self, stream: str) -> Path:
        """`stderr.broken.json`: the last exceptions of the task's last life."""
        return self.path / f"{stream}.broken.json"

    def times(self, stream: str) -> Path:
        """The times of a log: lines of `OFFSET UNIX_TIME`.

        Offsets count all bytes ever written.
        """
        return self.path / f"{stream}.times"

    def older_times(self, stream: str) -> Path:
        """The times of the older log.

        The first line has the offset at which that log begins.
        """
        return self.path / f"{stream}.times.1"


def require_home(runs: Path, cluster: str) -> Path:
    """The directory of the runs of `cluster` below `runs`, made for its owner only.

    Raises InputError when the place cannot be written.
    """
    home = runs / cluster
    try:
        for place in (runs, home):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(runs, error) from error
    return home


def create(runs: Path, cluster: str) -> RunDirectory:
    """A new run directory of `cluster` under `runs`, readable by its owner only.

    Raises InputError when the place cannot be written; nothing is left then.
    """
    home = require_home(runs, cluster)
    try:
        while True:
            path = home / _run_id()
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                break
        for name in ("tasks", *SHARED):
            (path / name).mkdir(mode=0o700)
    except OSError as error:
        raise _unwritable(runs, error) from error
    return RunDirectory(path.resolve())


def _unwritable(runs: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot create a run directory under {runs}: {error.strerror or error}",
        hint="choose another directory with --runs DIR or TENFOLD_RUNS",
        cause=error,
    )


def _run_id() -> str:
    """The time (UTC) to the millisecond: `20261123-171715-042`."""
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def find(runs: Path, name: str | None = None) -> RunDirectory:
    """The run named `name`: `CLUSTER`, `CLUSTER/RUN-ID` or a path.

    None means the newest run.

    Raises InputError when there is none.
    """
    if name and "/" in name:
        named = user_path(name, "CLUSTER") if name.startswith("~") else Path(name)
        path = next((p for p in (runs / name, named) if _is_run(p)), None)
        if path is None:
            raise InputError(
                f"no run {name} under {runs}", hint=_hint_for(runs, name.split("/")[0])
            )
        return RunDirectory(path.resolve())
    found = list(every(runs, name))
    if not found:
        what = f"no run of cluster {name}" if name else "no run"
        raise InputError(f"{what} under {runs}", hint=_hint_for(runs, name))
    return max(found, key=lambda run: run.run)


def _hint_for(runs: Path, cluster: str | None) -> str:
    """The hint for a missing run. It would be a run of `cluster`."""
    known = sorted({run.cluster for run in every(runs)})
    if cluster in known or (known and cluster is None):
        return f"tenfold ps --all --runs {shlex.quote(str(runs))} lists those there are"
    if not known:
        start = "start one with `tenfold up`; " if cluster is None else ""
        return f"{start}use --runs DIR for another directory"
    clusters = ", ".join(known[:10])
    return did_you_mean(cluster or "", known) or f"clusters here: {clusters}"


def every(runs: Path, cluster: str | None = None) -> Iterator[RunDirectory]:
    """All runs under `runs`, or only those of one cluster.

    Runs of a cluster are sorted, oldest first.
    """
    clusters = [cluster] if cluster else sorted(_directories(runs))
    for name in clusters:
        for run in sorted(_directories(runs / name)):
            path = runs / name / run
            if _is_run(path):
                yield RunDirectory(path.resolve())


def _is_run(path: Path) -> bool:
    try:
        return _is_there(path / "plan.json") or _is_there(path / "status.json")
    except (OSError, ValueError):  # a name that no file can have
        return False


def _is_there(path: Path) -> bool:
    """Whether a file exists, damaged or not."""
    return os.path.lexists(path)


def _directories(path: Path) -> list[str]:
    """Names of the directories in `path`.

    Hidden ones are left out: a run that is being removed, say.
    """
    try:
        found = [entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
        return [name for name in found if name[0] != "."]
    except (OSError, ValueError):
        return []


def set_aside_damaged(run: RunDirectory) -> list[tuple[Path, Path]]:
    """Set aside unreadable state in `run`. Returns pairs of old and new paths."""
    states = [run.status, run.resumed, run.elsewhere]
    for task in run.tasks():
        states += [task.status, task.life, task.progress, task.bar, task.placement]
    problems = Problems()
    for path in states:
        read_json(path, problems)
    return [(path, aside) for path in problems.found if (aside := set_aside(path))]


def hold_lock(run: RunDirectory) -> IO[bytes]:
    """Take the supervisor's lock of `run`.

    The lock is held until the stream is closed or its owner dies.

    A view that looks whether the run is alive shares the lock for an instant, so this tries for
    a while. Raises TenfoldError if another supervisor has it.
    """
    descriptor, _ = files.open_own(run.lock, os.O_RDWR)
    stream = os.fdopen(descriptor, "r+b")
    deadline = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                stream.close()
                raise TenfoldError(f"run {run.run} already has a supervisor") from error
            time.sleep(0.001)
