"""Inside a task: its name, its peers and its progress.

Reads what the launcher put into the environment and the run directory, and writes the task's own
progress. Used by training scripts and notebooks; imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tenfold.base.naming import label_of
from tenfold.base.paths import user_path
from tenfold.debug import answers
from tenfold.errors import TenfoldError
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan
from tenfold.run import files, rendezvous
from tenfold.run.planfile import read_plan
from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory, find
from tenfold.run.statusfiles import RunStatus, TaskStatus
from tenfold.tasks.figures import OddFigures, Pace, plain_figure, step_of
from tenfold.tasks.progresslog import ProgressLog

_PROGRESS_S = 0.2


@dataclass(frozen=True, slots=True)
class Member:
    """One task's view of its cluster.

    Attributes:
        cluster: the cluster's name.
        job, index: this task's place; `name` is both, as in `worker/3`.
        run_directory: the run's directory, the same for all tasks.
        directory: this task's own directory in it.
        addresses: `host:port` of every task, by job, in the order of the index.
        ports: this task's named ports.
    """

    cluster: str
    job: str
    index: int
    run_directory: Path
    addresses: dict[str, tuple[str, ...]]
    ports: dict[str, int]

    @property
    def name(self) -> str:
        """`worker/3`."""
        return f"{self.job}/{self.index}"

    @property
    def directory(self) -> Path:
        """This task's own directory in the run directory."""
        return RunDirectory(self.run_directory).task(label_of(self.name)).path

    @property
    def tensorboard(self) -> Path:
        """The directory for TensorBoard: write event files below it, as in `train`."""
        return self.run_directory / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """The directory for checkpoints."""
        return self.run_directory / "checkpoints"

    @property
    def results(self) -> Path:
        """The directory for the results of the training: vectors, pictures, models."""
        return self.run_directory / "results"


def task() -> Member:
    """The task of this process. Raises TenfoldError outside a cluster.

    From then on, the process answers `tenfold stacks` itself (`tenfold.debug.answers`).
    """
    answers.answer()
    try:
        run = RunDirectory(Path(os.environ["TENFOLD_RUN_DIRECTORY"]))
        job, _, index = os.environ["TENFOLD_TASK"].rpartition("/")
    except KeyError as error:
        raise TenfoldError(
            "this process is not a task of a cluster",
            hint="start it with `tenfold up`, or next to a task with `tenfold exec TASK -- …`",
            cause=error,
        ) from error
    return Member(
        cluster=os.environ.get("TENFOLD_CLUSTER", run.cluster),
        job=job,
        index=int(index),
        run_directory=run.path,
        addresses=_addresses(run),
        ports=_ports(),
    )


def _ports() -> dict[str, int]:
    start = "TENFOLD_PORT_"
    return {
        name.removeprefix(start).lower(): int(value)
        for name, value in os.environ.items()
        if name.startswith(start)
    }


def _addresses(run: RunDirectory) -> dict[str, tuple[str, ...]]:
    plan = read_plan(run.plan)
    known = rendezvous.known(run, [member.label for member in plan.tasks])
    return {
        job: tuple(known[member.label] for member in members if member.label in known)
        for job, members in plan.jobs().items()
    }


_pace = Pace()
_log = ProgressLog()
_odd = OddFigures()


def progress(done: float, total: float, *, unit: str = "steps", **figures: str | float) -> None:
    """Report how far this task is.

    `tenfold up` shows a bar, the rate and the remaining time based on it.

    Cheap to call often: written at most five times a second, and always at the end. Outside a
    cluster it does nothing.

    Args:
        done, total: in `unit`s; `done` may go back, after a resume.
        figures: whatever is worth seeing beside the bar, `loss=2.31` or `epoch="1/3"`. Of one
            that is NaN or infinite, `up` and `why` say since which step.
    """
    home, name = os.environ.get("TENFOLD_RUN_DIRECTORY"), os.environ.get("TENFOLD_TASK")
    now = time.monotonic()
    if not home or not name:
        return
    soon = now - _pace.written < _PROGRESS_S and done < total
    if not _odd.note(done, figures, cheaply=soon) and soon:
        return
    answers.answer()
    _pace.written = now
    made = Progress(
        done=step_of(done),
        total=step_of(total),
        unit=unit,
        rate=_pace.rate(now, float(done)),
        figures={key: plain_figure(value) for key, value in figures.items()},
        time=time.time(),
        not_finite=dict(_odd.found),
    )
    directory = RunDirectory(Path(home)).task(label_of(name))
    with contextlib.suppress(OSError):  # a full disk must not end a training
        made.write(directory.progress)
        _log.write(directory.progress_log, made, now)


def attach(cluster: str | None = None, *, job: str = "chief") -> Member:
    """Make this process, a notebook's kernel, the chief of the running cluster.

    Sets TF_CONFIG and the TENFOLD_* variables of the process, so that everything else here
    works as it does in a chief that `tenfold up` started. Call it before TensorFlow is used.

    Args:
        cluster: the run, as for the commands; None: the one whose Jupyter this is.
        job: the job to be the only task of. Raises TenfoldError if a task of it is running.
    """
    run = _run_of(cluster)
    plan = read_plan(run.plan)
    if not run.alive():
        raise TenfoldError(f"{run.cluster} is not running", hint="start it with `tenfold up`")
    _refuse_second(run, job)
    _refuse_outside(run)
    os.environ["TENFOLD_RUN_DIRECTORY"] = str(run.path)
    os.environ["TENFOLD_CLUSTER"] = plan.cluster
    addresses = _addresses(run)
    addresses.setdefault(job, (_own_address(),))
    _become(run, plan, job, addresses)
    return task()


def _run_of(cluster: str | None) -> RunDirectory:
    home = os.environ.get("TENFOLD_RUN_DIRECTORY")
    if cluster is None and home is not None:
        return RunDirectory(Path(home))
    return find(user_path(os.environ.get("TENFOLD_RUNS", ".tenfold/runs"), "TENFOLD_RUNS"), cluster)


def _refuse_second(run: RunDirectory, job: str) -> None:
    status = TaskStatus.read(run.task(f"{job}-0").status)
    if status is not None and status.pid is not None:
        raise TenfoldError(
            f"{job}/0 is running, and a cluster can have only one {job}",
            hint="attach after it has ended, or start the cluster without it "
            f"(`jobs: {{{job}: null}}` in a file that extends the first)",
        )


def _refuse_outside(run: RunDirectory) -> None:
    if os.environ.get("TENFOLD_RUN_DIRECTORY") == str(run.path):
        return
    status = RunStatus.read(run.status)
    if status is not None and status.protection == "namespace":
        raise TenfoldError(
            f"{run.cluster} has a separate network, and this process is not in it",
            hint="use the Jupyter of the cluster (jupyter: true), or tenfold exec TASK -- python",
        )


def _own_address() -> str:
    """The address of a chief that is not in the file.

    It is the address given to Jupyter's task.
    """
    return os.environ.get("TENFOLD_ADDRESS", "127.0.0.1:0")


_places: dict[Path, IO[bytes]] = {}
"""Locks that this process holds for its life, by the task directory."""


def _hold_place(run: RunDirectory, job: str) -> None:
    """Become the only process attached as `job`. A second one is refused."""
    if any(place.is_relative_to(run.path) for place in _places):
        return
    directory = run.task(f"{job}-0").path
    files.make_directory(directory)
    place = directory / "attached.lock"
    descriptor, _ = files.open_own(place, os.O_RDWR)
    stream = os.fdopen(descriptor, "r+b")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise TenfoldError(
            f"another process already is {job}/0", hint="end it first: restart its kernel"
        ) from error
    _places[place] = stream


def _become(run: RunDirectory, plan: Plan, job: str, addresses: dict[str, tuple[str, ...]]) -> None:
    _hold_place(run, job)
    rendezvous.publish(run, f"{job}-0", addresses[job][0])
    os.environ["TENFOLD_TASK"] = f"{job}/0"
    os.environ.update(framework(plan.framework).environment(job, 0, addresses))
