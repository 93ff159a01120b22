"""Real processes for these tests: Python that answers or not, in some state or other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenfold.debug import processes
from tenfold.debug.ask import Question, stacks_of
from tenfold.debug.stacks import ProcessStacks
from tenfold.run.rundir import TaskDirectory
from tests.conftest import wait_for

ANSWERS = "from tenfold.debug import answers; answers.answer()\n"
UP = "print('up', flush=True)"
HOLD = f"""
import threading, time
def hold(work=lambda: {UP}):
    work()
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
def wait():
    {UP}
    time.sleep(600)
"""
"""`hold()` and `wait()` write the line from inside."""

_WAITING = ("futex", "hrtimer")
"""Where in the kernel those two wait."""


@contextmanager
def program(run: Path, code: str, task: str = "worker/0", *, waits: bool = True) -> Iterator[int]:
    """Python code as a task's only process, which has written a line, and now waits; killed at
    the end."""
    (run / "tasks" / task.replace("/", "-")).mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"TENFOLD_RUN_DIRECTORY": str(run), "TENFOLD_TASK": task}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        wait_for(lambda: not waits or _waits(process.pid), 5)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _waits(pid: int) -> bool:
    """Also where the kernel tells nobody what a process waits for."""
    found = processes.look(pid)
    where = found and found.wchan
    return found is not None and found.state == "S" and (where or "futex").startswith(_WAITING)


def asked(run: Path, pid: int, *, native: bool = False, bound_s: float = 20) -> list[ProcessStacks]:
    """What is found out about the processes of worker/0, whose first one is `pid`."""
    directory = TaskDirectory(run / "tasks" / "worker-0")
    question = Question(time.monotonic() + bound_s, native)
    return list(stacks_of(directory, pid, processes.family(), question))


def functions(process: ProcessStacks, thread: int = 0) -> list[str]:
    """The functions a thread is in, the newest first."""
    return [frame.function for frame in process.stacks[thread].frames]


def stop(pid: int) -> None:
    """SIGSTOP, and wait until it is stopped."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: processes.state(pid) == "T", 5)
