"""`python -m tenfold.tasks.beside worker/3 COMMAND…`: a command beside a task.

It runs where the task runs.

Becomes the command, with the environment and working directory of the task that runs there. What
`tenfold exec` starts in a container or on a node.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tenfold.base import procfs
from tenfold.base.naming import label_of
from tenfold.launch import signals
from tenfold.run.lives import TaskLife
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.container import RUN_DIRECTORY


def main() -> None:
    """Execute the command in this process."""
    task, *words = sys.argv[1:]
    run = RunDirectory(Path(os.environ.get("TENFOLD_RUN_DIRECTORY", RUN_DIRECTORY)))
    life = TaskLife.read(run.task(label_of(task)).life) or TaskLife()
    pid = life.pid
    if pid is None or life.ended is not None:
        sys.exit(f"tenfold: {task} is not running here")
    try:
        os.chdir(f"/proc/{pid}/cwd")
    except OSError as error:
        sys.exit(f"tenfold: {task} cannot be inspected: {error.strerror}")
    environment = procfs.read_environment(pid)
    if environment is None:
        sys.exit(f"tenfold: {task} cannot be inspected: its environment cannot be read")
    signals.before_exec()
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        sys.exit(f"tenfold: {words[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
