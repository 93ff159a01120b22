"""Why a step of a Slurm job ended, according to srun's messages on stderr.

Owns reading those. Facts: the texts are Slurm 22.05's (src/slurmd/slurmstepd/req.c, and as srun
prints them). Leaves to others: what becomes of the whole job (`slurm_commands`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tenfold.cells import Cause, Ended
from tenfold.planning.plan import Task
from tenfold.run.lives import TaskLife
from tenfold.tasks.memory import memory_end

_SAID: tuple[tuple[re.Pattern[str], str, Cause | None], ...] = (
    (re.compile(r"DUE TO TIME LIMIT", re.I), "ended: the job reached its time limit", None),
    (re.compile(r"DUE TO PREEMPTION", re.I), "ended: preempted by another job", "node"),
    (re.compile(r"DUE TO NODE FAILURE|Node failure on|NODE_FAIL", re.I),
     "ended: its node failed", "node"),
    (re.compile(r"DUE TO (?:JOB )?REQUEUE", re.I), "ended: Slurm requeues the job", "node"),
    (re.compile(r"\*\*\* (?:STEP|JOB) \S+ ON \S+ CANCELLED", re.I),
     "ended: its Slurm step was cancelled", "removed"),
)  # fmt: skip
_MEMORY = re.compile(r"oom.kill|Out Of Memory|OUT_OF_MEMORY|Exceeded job memory limit", re.I)


def told(ended: Ended, life: TaskLife, task: Task) -> Ended:
    """`ended` with the reason that the task's agent saw: it outlived the task."""
    words = memory_end(life.memory_kills, task.memory, ended.exit_code, ended.signal)
    return replace(ended, reason=words, cause="oom") if life.memory_kills and words else ended


def lost(ended: Ended, said: Sequence[str], task: Task) -> Ended:
    """`ended` with its reason, for a task whose agent is gone.

    The reason comes from srun's last lines (`said`).
    """
    text = "\n".join(said)
    if _MEMORY.search(text):
        return replace(
            ended, reason=memory_end(1, task.memory, ended.exit_code, ended.signal), cause="oom"
        )
    for pattern, words, cause in _SAID:
        if pattern.search(text):
            return replace(ended, reason=words, cause=cause)
    last = said[-1] if said else "srun ended"
    return replace(ended, reason=f"was lost with its Slurm step: {last}", cause="node")
