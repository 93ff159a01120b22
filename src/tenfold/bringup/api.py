"""Start a cluster from Python: what `tenfold up` does, without a terminal.

Owns the start of the supervisor process. Everything after that is read from the run directory,
or asked of the supervisor over its socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold import cells
from tenfold.base.interpreter import own
from tenfold.base.secrets import maskable, secrets_of_url
from tenfold.bringup.resume import Wish, decide
from tenfold.bringup.running import refuse_running
from tenfold.cells.rendering import RenderLocations
from tenfold.cells.settling import Settler
from tenfold.cluster import settings
from tenfold.cluster.cell_table import CELLS, traits
from tenfold.errors import InputError, TenfoldError
from tenfold.planning.plan import Plan
from tenfold.run import files, filesystem, rundir
from tenfold.run.annotations import Annotations, checked_note, checked_tags
from tenfold.run.locks import signal_holders
from tenfold.run.planfile import PlanFile, write_plan
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL
from tenfold.run.turns import turn
from tenfold.supervise import control
from tenfold.tasks import library
from tenfold.views.status import RunView, status

if TYPE_CHECKING:
    from tenfold.cluster.file import Loaded
    from tenfold.cluster.spec import Cluster

_POLL_S = 0.05
_PUT_BACK_S = 5.0
"""Seconds in which a supervisor restores a removed run directory."""


@dataclass(slots=True)
class SupervisorProcess:
    """The supervisor's process, a child of this process that may outlive it.

    `lifeline` is the pipe whose end is the end of an attached run; it stays open here until this
    process ends.
    """

    pid: int
    lifeline: int | None = None
    _ended: bool = False

    def ended(self) -> bool:
        """Whether the process has ended. It is reaped then."""
        if not self._ended:
            try:
                self._ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
            except ChildProcessError:  # this program ignores SIGCHLD: the kernel has reaped it
                self._ended = True
        return self._ended

    def reap(self) -> None:
        """Wait for a process that is about to end."""
        with contextlib.suppress(ChildProcessError):
            if not self._ended:
                os.waitpid(self.pid, 0)
        self._ended = True
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None


@dataclass(slots=True)
class Run:
    """A cluster that was started.

    Dropping this object does not end the cluster, unless it is attached.

    Attributes:
        notes: what people should know of the start, in sentences: where it goes on from, which
            damaged files were set aside.
    """

    directory: RunDirectory
    notes: tuple[str, ...] = ()
    _supervisor: SupervisorProcess | None = field(default=None, repr=False)

    def status(self) -> dict[str, Any]:
        """The shape of `ps --json`."""
        return self.view().to_json()

    def view(self) -> RunView:
        """What `status` gives, typed."""
        self.settle()
        return status(self.directory)

    def settle(self) -> None:
        """Update the run directory if its supervisor is elsewhere.

        If a task has removed it, wait until the supervisor has put it back, or has ended.
        """
        settle(self.directory)
        if self._supervisor is not None:
            deadline = time.monotonic() + _PUT_BACK_S
            while not self.directory.locked() and not self._supervisor.ended():
                if time.monotonic() > deadline:
                    return
                time.sleep(_POLL_S)

    def wait(
        self, timeout_s: float | None = None, *, for_state: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Wait until the run has one of these states or is over. Returns its status.

        Raises TimeoutError after `timeout_s` seconds.
        """
        return self.awaited(timeout_s, for_state=for_state).to_json()

    def awaited(
        self, timeout_s: float | None = None, *, for_state: tuple[str, ...] = ()
    ) -> RunView:
        """What `wait` gives, typed."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            now = self.view()
            if now.state in TERMINAL:  # or its directory was removed as it was read
                now = self.view()
            over = now.state in TERMINAL and not self.directory.alive()
            if over or (now.state in for_state and now.state not in TERMINAL):
                self._reap()
                return now
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.directory.cluster} is {now.state}")
            time.sleep(_POLL_S)

    def _reap(self) -> None:
        if self._supervisor is not None and not self.directory.alive():
            self._supervisor.reap()

    def restart(self, *tasks: str) -> None:
        """Restart tasks (`worker/3`).

        Raises TenfoldError that names those that cannot be restarted.
        """
        refused = control.ask(self.directory, "restart", tasks=list(tasks))["refused"]
        if refused:
            raise TenfoldError(
                f"cannot restart {', '.join(refused)}: the task does not exist or has not started"
            )

    def stop(self, *, kill: bool = False, timeout_s: float | None = None) -> dict[str, Any]:
        """End the run, gracefully or at once, and wait for its end.

        A run that is over stays as it is.
        """
        return self.stopped(kill=kill, timeout_s=timeout_s).to_json()

    def stopped(self, *, kill: bool = False, timeout_s: float | None = None) -> RunView:
        """What `stop` gives, typed."""
        if self.directory.alive():
            with contextlib.suppress(TenfoldError):
                control.ask(self.directory, "kill" if kill else "stop")
        return self.awaited(timeout_s)


def up(
    source: Plan | Loaded | Cluster | Path | str,
    *,
    runs: Path | str | None = None,
    cell: str | None = None,
    keep: bool = False,
    isolation: str | None = None,
    attached: bool = False,
    resume: Wish = "auto",
    another: bool = True,
    tags: Iterable[str] = (),
    note: str = "",
) -> Run:
    """Start a cluster. Returns when its supervisor has begun.

    This is earlier than when all tasks run.

    Args:
        source: a file, what `load` or `plan` gave, or a Cluster.
        runs: where run directories go; None: as the settings say.
        cell: where to run; None: as the settings or the file say.
        keep: leave the cluster up when its chief has ended well.
        isolation: `auto`, `namespace`, `loopback` or `none`; see `tenfold.cells.ISOLATION`.
        attached: end the run when this process ends, however it does.
        resume: `auto` goes on where the last run of the same training broke off, if it left a
            checkpoint; `yes` does so even if the training's command has changed; `no` never.
            See `tenfold.bringup.resume.decide`.
        another: start a second run if the cluster is already running; otherwise raise
            AlreadyRunningError.
        tags: tags of the run, such as `baseline` or `lr=0.1`.
        note: a note about the run.

    Raises InputError for a faulty file, or if `resume` is `yes` and nothing is there to go on with;
    UnavailableError where it cannot run here. Nothing is left half-started then.
    """
    made = source if isinstance(source, Plan) else planned(source, cell=cell)
    cell_side = cells.client(made.cell)
    made = cell_side.place(made)
    wishes = cells.Wishes(
        isolation=settings.resolve("isolation", isolation).value,
        keep=keep,
        secrets=cells.secrets_of(made) if traits(made.cell).renders else {},
    )
    given = str(runs) if runs is not None else None
    home = Path(settings.resolve("runs", given, {"runs": made.runs}).value)
    annotations = Annotations(tags=checked_tags(tags), note=checked_note(note))
    filesystem.require_umask()
    rundir.require_home(home, made.cluster)  # a place that cannot be written is named here
    with turn(home, made.cluster):
        refuse_running(home, made, another=another)
        before = decide(home, made, resume)
        run = rundir.create(home, made.cluster)
        write_plan(run.plan, made)
        try:
            if annotations:
                annotations.keep(run)
            before.hand_over(run)
            library.prepare(made, run, os.environ)
            _keep_files(made, run)
            if cell_side.submit(made, run, wishes):
                return Run(run, before.notes)
            filesystem.require(run.path)
        except TenfoldError:
            shutil.rmtree(run.path, ignore_errors=True)  # it was never a run
            raise
        orders = {
            "plan": made.to_json(hide_secrets=False),
            "wishes": asdict(wishes),
            "attached": attached,
        }
        return Run(run, before.notes, _start_supervisor(run, orders))


def _keep_files(plan: Plan, run: RunDirectory) -> None:
    """Put the cell's own files into the run directory.

    The cell uses them, and people can read them.
    """
    if not traits(plan.cell).renders:
        return
    places = RenderLocations(plan.directory, str(run.path), True, sys.executable)
    for file in cells.client(plan.cell).render(plan, places):
        path = run.path / file.path
        path.parent.mkdir(mode=0o700, exist_ok=True, parents=True)
        path.touch(mode=0o600)
        path.write_bytes(file.encoded())


def planned(
    source: Loaded | Cluster | Path | str | None,
    *,
    cell: str | None = None,
    overrides: Iterable[str] = (),
) -> Plan:
    """The plan of a file or Cluster.

    It is checked against this machine if it is to run here.

    Raises InputError with every fault, UnavailableError for missing packages.
    """
    from tenfold.cluster.check import faults_here
    from tenfold.cluster.file import from_cluster, load
    from tenfold.cluster.spec import Cluster
    from tenfold.planning.planner import plan

    if isinstance(source, Cluster):
        loaded = from_cluster(source, Path.cwd(), settings=overrides)
    elif isinstance(source, (str, Path)) or source is None:
        loaded = load(source, settings=overrides)
    else:
        loaded = source
    place = settings.resolve("cell", cell, {"cell": loaded.cluster.cell}).value
    made = _with_notify(plan(loaded, cell=place), loaded)
    cell_side = cells.client(place)
    made = cell_side.accepted(made)
    if traits(place).shares_files and (faults := faults_here(loaded, python=made.python)):
        raise InputError(faults=faults)
    cell_side.require(made)
    return made


def _with_notify(made: Plan, loaded: Loaded) -> Plan:
    """The plan with whom to tell about the run, from the file or the user's settings.

    Raises InputError for a setting that is neither a URL nor a command.
    """
    of_file = "the file's own" if loaded.cluster.notify is not None else None
    found = settings.resolve("notify", None, {"notify": of_file})
    if of_file is not None and found.value == of_file:
        return made
    from pydantic import ValidationError

    from tenfold.cluster.notify import from_setting
    from tenfold.planning.planner import notify_target

    on = settings.resolve("notify_on")
    try:
        target = notify_target(from_setting(found.value, on.value))
    except ValidationError as error:
        raise InputError(
            f"{found.origin}: notify is neither a URL nor a command,"
            f" or {on.origin}: notify_on is not a list of events",
            hint="notify: https://ntfy.sh/TOPIC; notify_on: ended,failed,hung,restarted",
        ) from error
    known = frozenset() if target is None or target.url is None else secrets_of_url(target.url)
    return replace(made, notify=target, masked=made.masked | maskable(known))


def _start_supervisor(run: RunDirectory, orders: dict[str, Any]) -> SupervisorProcess:
    read, write = os.pipe()
    with os.fdopen(files.open_own(run.supervisor_log, os.O_WRONLY | os.O_APPEND)[0], "ab") as log:
        pid = os.posix_spawn(
            sys.executable,
            own("tenfold.supervise", str(run.path)),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, read, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
        )
    os.close(read)
    supervisor = SupervisorProcess(pid)
    with os.fdopen(write, "wb", closefd=False) as orders_pipe, contextlib.suppress(BrokenPipeError):
        orders_pipe.write(json.dumps(orders).encode() + b"\n")
    while not run.alive() and not supervisor.ended():
        time.sleep(0.002)
    if orders["attached"] and not supervisor.ended():
        supervisor.lifeline = write
    else:
        os.close(write)
    if supervisor.ended() and not files.exists(run.status):
        _refuse(run)
    return supervisor


def _refuse(run: RunDirectory) -> None:
    said = files.read_end(run.supervisor_log, 1 << 16).decode(errors="replace").strip().splitlines()
    raise TenfoldError(
        f"the supervisor could not start: {said[-1] if said else 'it printed nothing'}",
        hint=f"its output is in {run.supervisor_log}",
    )


def interrupt(run: RunDirectory) -> list[int]:
    """End a run whose supervisor does not respond.

    Its supervisor is the process of this host that holds its lock.

    Gives its pid; nothing if the kernel does not say who holds the lock. What status.json says
    of a pid does not count: anybody can have written it.
    """
    return [] if run.is_elsewhere() else signal_holders(run.lock)


_settler = Settler(2.0)


def settle(run: RunDirectory) -> None:
    """Update the run directory of a run whose supervisor is elsewhere.

    Asks the cell at most every two seconds, and only while the run directory does not know.
    """
    _settler.settle(run)


def sweep(run: RunDirectory) -> list[str]:
    """Remove what a killed supervisor left on its cell.

    Returns a description of what was removed.

    Does nothing to a run whose supervisor is a process of this host. Raises TenfoldError where the
    cell cannot be asked.
    """
    cell = PlanFile.of(run.plan).cell
    supervised = run.alive() and not run.is_elsewhere()
    if supervised or cell not in CELLS:
        return []
    return cells.client(cell).sweep(run)
