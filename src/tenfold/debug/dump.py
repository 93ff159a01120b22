"""`python -m tenfold.debug.dump SECONDS [--native] TASK`: stacks of one task.

It runs where the task runs.

What `tenfold stacks` runs beside a task in a container or on a node. Prints one line of JSON, see
`tenfold.debug.stacks.to_json`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tenfold.base.naming import label_of
from tenfold.debug import processes
from tenfold.debug.ask import Question, stacks_of
from tenfold.debug.stacks import TaskStacks, to_json
from tenfold.run.lives import TaskLife
from tenfold.run.rundir import RunDirectory

_OWN_SHARE = 0.8
"""The share of the time that may be used here. The rest is for the way back."""


def main() -> None:
    """Collect the stacks and print them."""
    bound_s, *flags, task = sys.argv[1:]
    question = Question(time.monotonic() + _OWN_SHARE * float(bound_s), "--native" in flags)
    directory = RunDirectory(Path(os.environ["TENFOLD_RUN_DIRECTORY"])).task(label_of(task))
    life = TaskLife.read(directory.life)
    pid = life.pid if life else None
    found = stacks_of(directory, pid, processes.family(), question) if pid else ()
    trouble = None if found else "its process is gone"
    print(json.dumps(to_json(TaskStacks(task, processes=found, trouble=trouble))))


if __name__ == "__main__":
    main()
