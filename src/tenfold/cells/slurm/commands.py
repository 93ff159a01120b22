"""Use Slurm's commands, with time limits: submit, look at and cancel a job.

Owns what Slurm's states mean for a run, in words. Leaves to others: steps (`slurm_steps`).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tenfold.base.quantities import limit_text
from tenfold.cells import Outcome
from tenfold.cells.slurm.sbatch import NOT_SHARED, WARNING_S
from tenfold.errors import TenfoldError, UnavailableError
from tenfold.run.states import State

_COMMAND_S = 30.0

PENDING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
GONE = frozenset(
    {
        *("CANCELLED", "TIMEOUT", "NODE_FAIL", "FAILED", "OUT_OF_MEMORY", "DEADLINE"),
        *("COMPLETED", "BOOT_FAIL", "PREEMPTED", "REVOKED"),
    }
)
"""States of jobs that no longer run."""

_WORDS = {
    "TIMEOUT": "it reached its time limit",
    "DEADLINE": "it reached its deadline",
    "NODE_FAIL": "one of its nodes failed",
    "BOOT_FAIL": "one of its nodes could not boot",
    "OUT_OF_MEMORY": "a task exceeded its memory limit",
    "PREEMPTED": "it was preempted by another job",
    "FAILED": "its batch script failed",
    "COMPLETED": "it ended without a final status",
    "REVOKED": "it was taken over by another cluster",
}


@dataclass(frozen=True, slots=True)
class JobState:
    """What Slurm reports of a job.

    Its state, why it waits, its exit code, how often it was restarted, and when its time limit ends
    (as Slurm writes it).
    """

    state: str
    reason: str = ""
    exit_code: int | None = None
    restarts: int = 0
    end: str = ""

    @property
    def pending(self) -> bool:
        """Whether the job waits for nodes."""
        return self.state in PENDING

    @property
    def gone(self) -> bool:
        """Whether the job has ended, or is about to end."""
        return self.state in GONE

    def outcome(self, job: str) -> tuple[Literal[State.FAILED, State.STOPPED], str]:
        """How a run ended whose job no longer exists, and why, as a sentence."""
        if self.state == "CANCELLED":
            return State.STOPPED, f"Slurm job {job} was cancelled"
        if self.exit_code == NOT_SHARED:
            return State.FAILED, f"the node of Slurm job {job} does not see the run directory"
        words = _WORDS.get(self.state, f"it is {self.state}")
        return State.FAILED, f"Slurm job {job} ended: {words}"


def command(*argv: str, env: Mapping[str, str] | None = None) -> str:
    """The output of a Slurm command. Raises TenfoldError with its error message."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_COMMAND_S, env=env, check=False
        )
    except FileNotFoundError as error:
        raise UnavailableError(
            f"the command {argv[0]} is not installed here", hint="tenfold doctor"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{argv[0]} did not respond within {limit_text(_COMMAND_S)}"
        ) from error
    if done.returncode != 0:
        raise TenfoldError(_last(done.stderr) or f"{argv[0]} failed without output")
    return done.stdout


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (
        re.sub(r"^(sbatch|srun|scancel|squeue|scontrol): (error: )?", "", lines[-1])
        if lines
        else ""
    )


_HINTS = (
    (("invalid partition", "partition"), "list the partitions with sinfo -s; set "
     "cells.slurm.partition"),
    (("account",),
     "list yours with sacctmgr show associations user=$USER; set cells.slurm.account"),
    (("node configuration", "requested node", "more processors", "gres", "memory"),
     "no node has the resources of one task (resources: in the file); list nodes with sinfo -N -l"),
    (("time limit",), "set a shorter one in cells.slurm.time; see the limits with sinfo"),
    (("contact slurm controller", "unable to contact"), "check slurmctld: scontrol ping"),
)  # fmt: skip


def submit(script: str, env: Mapping[str, str]) -> str:
    """Submit a batch script and return its job id.

    Raises TenfoldError with a message for the user.
    """
    try:
        return command("sbatch", "--parsable", script, env=env).strip().partition(";")[0]
    except UnavailableError:
        raise
    except TenfoldError as error:
        said = error.message.removeprefix("Batch job submission failed: ")
        hint = next(
            (hint for words, hint in _HINTS if any(word in said.lower() for word in words)), None
        )
        raise TenfoldError(f"Slurm rejects the job: {said}", hint=hint, cause=error) from error


_LONGEST_GRACE_S = 3600.0

_SHOWN = re.compile(r"\b(JobState|Reason|ExitCode|Restarts|EndTime)=(\S+)")


def _shown(job: str) -> str | None:
    """Slurm's record of a job, or None if Slurm does not know the job.

    Raises UnavailableError if scontrol prints no record. That says nothing about the job: only
    the error `Invalid job id` means that Slurm has forgotten it.
    """
    try:
        shown = command("scontrol", "--oneliner", "show", "job", job)
    except UnavailableError:
        raise
    except TenfoldError as error:
        if "invalid job id" in error.message.lower():
            return None
        raise
    if "JobState=" not in shown:
        raise UnavailableError(
            f"scontrol printed nothing about Slurm job {job}", hint="check slurmctld: scontrol ping"
        )
    return shown


def job_state(job: str) -> JobState | None:
    """Slurm's report of a job, or None if Slurm no longer knows it.

    Raises TenfoldError if Slurm does not answer.

    Of a heterogeneous job the state of its first component, or of the first that is gone.
    """
    shown = _shown(job)
    if shown is None:
        return None
    states = [_parsed(line) for line in shown.splitlines() if "JobState=" in line]
    return next((state for state in states if state.gone), states[0])


def _parsed(line: str) -> JobState:
    found = dict(_SHOWN.findall(line))
    code = found.get("ExitCode", "0:0").partition(":")[0]
    return JobState(
        found["JobState"].partition("+")[0],
        found.get("Reason", ""),
        int(code) if code.isdigit() else None,
        int(found.get("Restarts", "0")),
        found.get("EndTime", ""),
    )


def own_job() -> tuple[str, int]:
    """The job of this process, and how often it was restarted."""
    return os.environ["SLURM_JOB_ID"], int(os.environ.get("SLURM_RESTART_COUNT") or 0)


def nodes_of(component: int, components: int) -> list[str]:
    """The node of each task for which a component has room, in the job's order.

    `component` is a component of this job.

    As the batch script's environment tells: `n[1-2]` and `4,3` are four tasks on n1, three on n2.
    """
    end = f"_HET_GROUP_{component}" if components > 1 else ""
    names = command("scontrol", "show", "hostnames", os.environ[f"SLURM_JOB_NODELIST{end}"])
    counts: list[int] = []
    for count, times in _COUNTS.findall(os.environ[f"SLURM_TASKS_PER_NODE{end}"]):
        counts += [int(count)] * int(times or 1)
    return [name for name, count in zip(names.split(), counts, strict=False) for _ in range(count)]


_COUNTS = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def why_told(job: str, restarts: int, *, asked: bool = False) -> tuple[Outcome, str] | None:
    """Why a job is ended that was started `restarts` times before.

    None if Slurm does not end it.

    `asked`: its batch script was told to end, as it is some time before the time limit.

    While it ends, Slurm 22.05 calls a job COMPLETING, whatever the cause; a count of restarts
    that has gone up tells that it will be started again.
    """
    state = job_state(job)
    if state is None:
        return State.FAILED, f"Slurm no longer knows job {job}"
    if state.restarts > restarts:
        words = f"Slurm requeues job {job}: a node failed, or another job preempted it"
        return "again", words
    if state.state in ("COMPLETING", "CANCELLED"):
        return State.STOPPED, f"Slurm job {job} was cancelled"
    if state.gone:
        return state.outcome(job)
    if asked and state.state == "RUNNING" and _soon(state.end):
        return State.FAILED, f"the time limit of Slurm job {job} is almost reached"
    return None


def _soon(end: str) -> bool:
    try:
        left = datetime.fromisoformat(end).timestamp() - datetime.now().timestamp()
    except ValueError:
        return False
    return left < WARNING_S + _LONGEST_GRACE_S


def batch_host(job: str) -> str:
    """The node of a running job's batch script, and so of its supervisor."""
    found = re.search(r"\bBatchHost=(\S+)", _shown(job) or "")
    if found is None:
        raise TenfoldError(f"Slurm job {job} has no node")
    return found[1]


def is_job_of(job: str, script: str) -> bool:
    """Whether a job was submitted with this script.

    Raises TenfoldError if Slurm does not answer.
    """
    if not re.fullmatch(r"[0-9]{1,10}", job):
        return False
    shown = _shown(job)
    found = re.search(r" Command=(.*?) [A-Z]\w*=", shown or "")
    return found is not None and os.path.realpath(found[1]) == os.path.realpath(script)


def cancel(job: str) -> None:
    """Cancel a job in any state. A missing job is no error."""
    try:
        command("scancel", job)
    except UnavailableError:
        raise
    except TenfoldError as error:
        if "invalid job id" not in error.message.lower():
            raise
