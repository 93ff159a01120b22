"""Inside a task: its name, its peers and its progress.

Reads what the launcher put into the environment and the run directory, and writes the task's own
progress. Used by training scripts and notebooks; imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Number
from pathlib import Path
from typing import IO, Any

from tenfold.base.naming import label_of
from tenfold.base.paths import user_path
from tenfold.debug import answers
from tenfold.errors import TenfoldError
from tenfold.frameworks import framework
from tenfold.planning.plan import Plan
from tenfold.run import files, rendezvous
from tenfold.run.planfile import read_plan
from tenfold.run.progress import OddSteps, Progress
from tenfold.run.rundir import RunDirectory, find
from tenfold.run.statusfiles import RunStatus, TaskStatus

_PROGRESS_S = 0.2
_RATE_S = 10.0


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


class _Pace:
    """The rate of this process's progress, over the last `_RATE_S` seconds or so."""

    def __init__(self) -> None:
        self.written = 0.0
        self._marks: list[tuple[float, float]] = []

    def rate(self, now: float, done: float) -> float | None:
        """Units per second, or None until two values are known.

        Starts anew when `done` decreases.
        """
        if self._marks and done < self._marks[-1][1]:
            self._marks.clear()
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] < now - _RATE_S:
            del self._marks[0]
        since, from_ = self._marks[0]
        return (done - from_) / (now - since) if now > since else None


class _OddFigures:
    """Which of this process's figures are not finite, and since which step."""

    def __init__(self) -> None:
        self.found: dict[str, OddSteps] = {}
        self._later: deque[tuple[float, str, object]] = deque(maxlen=_MOST_LATER)

    def note(self, done: float, figures: Mapping[str, object], *, cheaply: bool) -> bool:
        """Record the figures after step `done`. Returns whether that is new.

        With `cheaply`, arrays are kept for the next call without it: reading the value of an array
        on a device waits for the device, and by then the device has computed it.
        """
        news = False
        for name, value in figures.items():
            if isinstance(value, (str, Number)) or type(value).__module__ == "numpy":
                news |= self._look(done, name, value)
            else:
                self._later.append((done, name, _kept(value)))
        while self._later and not cheaply:
            news |= self._look(*self._later.popleft())
        return news

    def _look(self, done: float, name: str, value: object) -> bool:
        word = _odd_word(value)
        known = self.found.get(name)
        if word is not None and (known is None or known.until is not None):
            self.found[name] = OddSteps(word, since=_step(done))
            return True
        if word is None and known is not None and known.until is None:
            self.found[name] = replace(known, until=_step(done))
            return True
        return False


_MOST_LATER = 512
"""The maximum number of arrays whose values are read later.

If there are more in 0.2 s, only the newest are read.
"""


def _kept(value: Any) -> object:
    """The value as it is now.

    A PyTorch tensor is kept without its graph, which would stay in memory.
    """
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach()
    return tensor.clone() if tensor.numel() == 1 else tensor


_ODD_WORDS = frozenset({"nan", "inf", "infinity"})


def _odd_word(value: object) -> str | None:
    """`nan`, `inf` or `-inf` for a number that is not finite, otherwise None."""
    word = str(_plain(value)).strip().lower()
    return word if word.lstrip("+-") in _ODD_WORDS else None


_pace = _Pace()
_odd = _OddFigures()


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
        done=_step(done),
        total=_step(total),
        unit=unit,
        rate=_pace.rate(now, float(done)),
        figures={key: _plain(value) for key, value in figures.items()},
        time=time.time(),
        not_finite=_odd.found,
    )
    with contextlib.suppress(OSError):  # a full disk must not end a training
        made.write(RunDirectory(Path(home)).task(label_of(name)).progress)


def _step(value: object) -> float | None:
    number = _plain(value)
    return None if isinstance(number, str) else number


def _plain(value: object) -> str | float:
    """A figure as JSON can express it.

    An array of one number is a number, and NaN is a string.
    """
    if isinstance(value, (str, int)):
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else str(number)


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
