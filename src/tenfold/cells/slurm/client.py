"""The client side of the Slurm cell: submit the batch job and look after it.

The supervisor runs inside the job, on its first node, so that a run needs nothing of whoever
submitted it; the run directory, on a shared file system, tells how it is. This module speaks for
the job while no supervisor does: before it begins, and after it was ended from outside.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenfold.base.interpreter import own
from tenfold.base.naming import label_of
from tenfold.cells.client_side import ClientSide
from tenfold.cells.local.requirements import require_packages
from tenfold.cells.probing.findings import Finding
from tenfold.cells.rendering import File, RenderLocations
from tenfold.cells.slurm.commands import (
    JobState,
    batch_host,
    cancel,
    command,
    is_job_of,
    job_state,
    submit,
)
from tenfold.cells.slurm.doctor import slurm as find_slurm
from tenfold.cells.slurm.sbatch import Component, components, sbatch
from tenfold.cells.supervisor_side import Wishes
from tenfold.errors import InputError, TenfoldError, UnavailableError
from tenfold.planning.notify import URL_VARIABLE
from tenfold.planning.plan import Plan
from tenfold.run.elsewhere import Elsewhere
from tenfold.run.planfile import read_plan
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import TERMINAL, State
from tenfold.run.statusfiles import RunStatus, TaskStatus

_LAST_WORD_S = 3.0
_SILENT_S = 5.0


def _status(run: RunDirectory, plan: Plan, state: State, reason: str) -> RunStatus:
    """The status of a run whose supervisor does not write one."""
    now = time.time()
    over = state.is_terminal
    return RunStatus(
        cluster=plan.cluster,
        run=run.run,
        cell=plan.cell,
        state=state,
        outcome=state if over else None,
        reason=reason,
        started=now,
        updated=now,
        ended=now if over else None,
    )


class SlurmClient(ClientSide):
    """A batch job of a Slurm cluster."""

    def place(self, plan: Plan) -> Plan:
        """Give every task a processor, and more if it requests more."""
        if plan.notify and any(plan.shown(word) != word for word in plan.notify.command):
            raise InputError(
                "a secret is in the command of notify",
                hint="on slurm, let the command read it from its environment or a file",
            )
        tasks = tuple(replace(task, cpu=task.cpu or 1.0) for task in plan.tasks)
        return replace(plan, tasks=tasks)

    def require(self, plan: Plan) -> None:
        """Require Slurm, and the packages as nodes see this Python."""
        finding = find_slurm()
        if not finding.usable:
            raise UnavailableError(finding.message, hint=finding.hint)
        require_packages(plan)

    def render(self, plan: Plan, places: RenderLocations) -> list[File]:
        """job.sbatch."""
        return [sbatch(plan, places)]

    def submit(self, plan: Plan, run: RunDirectory, wishes: Wishes) -> bool:
        """Submit the batch job. The supervisor starts with it."""
        _status(run, plan, State.STARTING, "being submitted to Slurm").write(run.status)
        own = {"TENFOLD_KEEP": "yes" if wishes.keep else "no"}
        if plan.notify is not None and plan.notify.url is not None:
            own[URL_VARIABLE] = plan.notify.url
        env = dict(os.environ) | dict(wishes.secrets) | own
        job = submit(str(run.path / "cell" / "job.sbatch"), env)
        Elsewhere("slurm", job, time.time()).write(run.elsewhere)
        waiting = f"in Slurm's queue: job {job}"
        if _read(run).supervisor_pid is None:
            _status(run, plan, State.STARTING, waiting).write(run.status)
        return True

    def settle(self, run: RunDirectory) -> None:
        """Note why the job still waits, or how it ended without a last status."""
        said = _read(run)
        job = _job(run)
        if job is None or said.state in TERMINAL:
            return
        if time.time() - (said.updated or 0.0) < _SILENT_S:
            return
        state = job_state(job)
        if state is None or state.gone:
            self._last_word(run, job, state)
        elif state.pending:
            plan = read_plan(run.plan)
            why = f" ({state.reason})" if state.reason not in ("", "None") else ""
            words = f"in Slurm's queue: job {job}{why}"
            _status(run, plan, State.STARTING, words).write(run.status)

    def _last_word(self, run: RunDirectory, job: str, state: JobState | None) -> None:
        deadline = time.monotonic() + _LAST_WORD_S
        while time.monotonic() < deadline:  # the supervisor's own may still arrive
            if _read(run).state in TERMINAL:
                return
            time.sleep(0.1)
        outcome, reason = (State.FAILED, f"Slurm job {job} is gone, and how it ended is unknown")
        if state is not None:
            outcome, reason = state.outcome(job)
        plan = read_plan(run.plan)
        kept, end = _read(run), _status(run, plan, outcome, reason)
        replace(
            kept,
            cluster=end.cluster,
            run=end.run,
            cell=end.cell,
            state=end.state,
            outcome=end.outcome,
            reason=end.reason,
            started=kept.started or end.started,
            updated=end.updated,
            ended=end.ended,
        ).write(run.status)
        for task in plan.tasks:
            _end_task(run, task.label, outcome)

    def ask(self, run: RunDirectory, request: dict[str, Any]) -> dict[str, Any] | None:
        """Pass a request to the supervisor in the job. A pending job is cancelled."""
        job = _job(run)
        if job is None:
            return None
        state = job_state(job)
        if state is None or state.gone:
            self._last_word(run, job, state)
            return None
        if state.pending or request["op"] == "kill":
            _cancel_own(run, job)
            return {"ok": True} if request["op"] in ("stop", "kill") else None
        words = own("tenfold.supervise.control", str(run.path))
        srun = ["srun", f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", "--mpi=none"]
        srun += [f"--nodelist={batch_host(job)}", *_group(run, 0)]
        answer: dict[str, Any] = json.loads(command(*srun, *words, json.dumps(request)))
        return answer

    def sweep(self, run: RunDirectory) -> list[str]:
        """Cancel the job if there still is one."""
        job = _job(run)
        if job is None:
            return []
        state = job_state(job)
        if state is None or state.gone:
            return []
        _cancel_own(run, job)
        return [f"Slurm job {job}"]

    def beside(self, run: RunDirectory, task: str, words: Sequence[str]) -> list[str] | None:
        """Run a command through `srun`, on the task's node."""
        status = TaskStatus.read(run.task(label_of(task)).status) or TaskStatus()
        job, host = _job(run), status.host
        if job is None or host is None or status.pid is None:
            raise TenfoldError(f"{task} is not running", hint="see how it ended with `tenfold ps`")
        terminal = ["--pty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        srun = ["srun", f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", "--mpi=none"]
        inside = ["env", f"TENFOLD_RUN_DIRECTORY={run.path}", *own("tenfold.tasks.beside")]
        group = _group(run, _component_of(run, task))
        there = [f"--nodelist={host}", *terminal, *inside]
        return [*srun, *group, *there, task, *words]

    def probe(self, plan: Plan | None) -> list[Finding]:
        """Probe the commands, the controller and the nodes."""
        del plan
        return [find_slurm()]


def _cancel_own(run: RunDirectory, job: str) -> None:
    """Cancel the run's job.

    Raises TenfoldError if the job belongs to another run, whatever the file contains.
    """
    if not is_job_of(job, str(run.path / "cell" / "job.sbatch")):
        raise TenfoldError(
            f"Slurm job {job} is not this run's, though {run.elsewhere} names it",
            hint="list your jobs with squeue --me; cancel one with scancel JOB",
        )
    cancel(job)


def _components(run: RunDirectory) -> list[Component]:
    return components(read_plan(run.plan))


def _component_of(run: RunDirectory, task: str) -> int:
    found = enumerate(_components(run))
    return next(n for n, one in found if any(other.name == task for other in one.tasks))


def _group(run: RunDirectory, number: int) -> list[str]:
    """srun's option for one component, if the job has several."""
    return [f"--het-group={number}"] if len(_components(run)) > 1 else []


def _job(run: RunDirectory) -> str | None:
    place = Elsewhere.read(run.elsewhere)
    return place.job if place and place.job and place.job.isdecimal() else None


def _read(run: RunDirectory) -> RunStatus:
    return RunStatus.read(run.status) or RunStatus()


def _end_task(run: RunDirectory, label: str, outcome: State) -> None:
    """Record the end of a task that nobody saw: it ended with its job."""
    directory = run.task(label)
    said = TaskStatus.read(directory.status)
    if said is None or said.state in TERMINAL:
        return
    state = State.STOPPED if outcome == State.STOPPED else State.LOST
    replace(said, state=state, pid=None, ended=time.time()).write(directory.status)


CLIENT = SlurmClient()
