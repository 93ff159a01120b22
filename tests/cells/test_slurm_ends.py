"""What Slurm's words about a step mean: texts as Slurm prints them, in a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenfold.cells import Ended
from tenfold.cells.slurm.ends import lost, told
from tenfold.run.lives import TaskLife
from tests.plans import shell

TASK = replace(shell("ps/1", "true"), memory=512 << 20)
OOM = "was killed (out of memory at its limit of 512MiB)"


@pytest.mark.parametrize(
    ("said", "words", "cause"),
    [
        (["slurmstepd: Detected 1 oom_kill event in StepId=17.3. Some of the step tasks have been "
          "OOM Killed.", "n1: task 0: Out Of Memory"], OOM, "oom"),
        (["slurmstepd: *** STEP 17.3 ON n1 CANCELLED AT 2026-11-25T21:00:00 DUE TO TIME LIMIT ***"],
         "ended: the job reached its time limit", None),
        (["*** STEP 17.3 ON n1 CANCELLED AT 2026-11-25T21:00:00 DUE TO PREEMPTION ***"],
         "ended: preempted by another job", "node"),
        (["Job step aborted: Waiting up to 32 seconds for job step to finish.",
          "Node failure on n2"], "ended: its node failed", "node"),
        (["slurmstepd: *** STEP 17.3 ON n1 CANCELLED AT 2026-11-25T21:00:00 ***",
          "n1: task 0: Killed"], "ended: its Slurm step was cancelled", "removed"),
        (["n1: task 0: Killed"], "was lost with its Slurm step: n1: task 0: Killed", "node"),
        ([], "was lost with its Slurm step: srun ended", "node"),
    ],
)  # fmt: skip
def test_a_step_that_is_gone(said: list[str], words: str, cause: str | None) -> None:
    ended = lost(Ended(None, 9), said, TASK)
    assert (ended.signal, ended.reason, ended.cause) == (9, words, cause)


@pytest.mark.parametrize(
    ("kills", "code", "number", "words", "cause"),
    [
        (0, None, 9, None, None),
        (1, None, 9, OOM, "oom"),
        (1, 0, None, None, None),
        (2, 1, None, "exited with code 1 after 2 processes of it ran out of memory at its limit of"
         " 512MiB", "oom"),
    ],
)  # fmt: skip
def test_the_end_of_a_step_is_explained_by_its_agent(
    kills: int, code: int | None, number: int | None, words: str | None, cause: str | None
) -> None:
    ended = told(Ended(code, number), TaskLife(1, "n1", memory_kills=kills), TASK)
    assert (ended.reason, ended.cause) == (words, cause)
