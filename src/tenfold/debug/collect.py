"""Get the stacks of many tasks at once, within a time limit.

A task that does not answer delays no other.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tenfold.base.naming import label_of
from tenfold.base.quantities import limit_text
from tenfold.debug import processes
from tenfold.debug.ask import Question, stacks_of
from tenfold.debug.stacks import TaskStacks, from_json
from tenfold.errors import TenfoldError
from tenfold.run.rundir import RunDirectory
from tenfold.run.states import LIVE

Beside = Callable[[str, Sequence[str]], list[str] | None]
"""The command that runs `words` beside a task.

None means that it is a process of this machine (`tenfold.cells.ClientSide.beside`). May raise the
reason why there is no command.
"""

BOUND_S = 4.0
"""How long all of it may take on this machine."""

BOUND_ELSEWHERE_S = 20.0
"""The time limit in seconds if every task is asked through an engine.

For example a container's `exec`, or a job's step.
"""

"""States of a task that has a process."""

_AT_ONCE = 16
_GONE = "its process is gone" if sys.platform == "linux" else "there is no /proc on this machine"


@dataclass(frozen=True, slots=True)
class StackTarget:
    """A task, its state, and its pid on this machine, as far as there is one."""

    task: str
    phase: str
    pid: int | None


def collect(
    run: RunDirectory,
    wanted: Iterable[StackTarget],
    beside: Beside,
    *,
    python: str = "python",
    bound_s: float = BOUND_S,
    native: bool = False,
) -> list[TaskStacks]:
    """The stacks of these tasks, in their order.

    Returns within `bound_s`, and never raises.

    What has not answered by then says so. `python` is the interpreter that has tenfold, where the
    tasks are.
    """
    asked = list(wanted)
    question = Question(time.monotonic() + bound_s, native)
    words = [python, "-P", "-m", "tenfold.debug.dump", f"{bound_s:g}", *["--native"] * native]
    everybody = processes.family()
    answers: queue.SimpleQueue[tuple[int, TaskStacks]] = queue.SimpleQueue()
    ahead: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(asked)):
        ahead.put(place)

    def work() -> None:
        while True:
            try:
                place = ahead.get_nowait()
            except queue.Empty:
                return
            one = asked[place]
            answers.put((place, _one(run, one, beside, [*words, one.task], everybody, question)))

    for _ in range(min(_AT_ONCE, len(asked))):
        threading.Thread(target=work, name="stacks", daemon=True).start()
    return _gathered(asked, answers, question, bound_s)


def _gathered(
    asked: Sequence[StackTarget],
    answers: queue.SimpleQueue[tuple[int, TaskStacks]],
    question: Question,
    bound_s: float,
) -> list[TaskStacks]:
    late = f"no response within {limit_text(bound_s)}"
    found = [TaskStacks(one.task, one.phase, trouble=late) for one in asked]
    for _ in asked:
        try:
            place, told = answers.get(timeout=question.left(bound_s))
        except queue.Empty:
            break
        found[place] = told
    return found


def _one(
    run: RunDirectory,
    one: StackTarget,
    beside: Beside,
    words: Sequence[str],
    everybody: processes.Family,
    question: Question,
) -> TaskStacks:
    if one.phase not in LIVE:
        return TaskStacks(one.task, one.phase, trouble=f"is not running: {one.phase}")
    try:
        command = beside(one.task, words)
        if command is not None:
            told = _elsewhere(command, question)
            return replace(told, task=one.task, phase=one.phase, elsewhere=True)
        if one.pid is None:
            return TaskStacks(one.task, one.phase, trouble="its pid is unknown")
        directory = run.task(label_of(one.task))
        found = stacks_of(directory, one.pid, everybody, question)
    except Exception as error:  # of one task; the others are told all the same
        why = (
            error.message if isinstance(error, TenfoldError) else f"{type(error).__name__}: {error}"
        )
        return TaskStacks(one.task, one.phase, trouble=f"cannot be reached: {why}")
    return TaskStacks(one.task, one.phase, found, None if found else _GONE)


def _elsewhere(command: Sequence[str], question: Question) -> TaskStacks:
    """The result of `tenfold.debug.dump` where the task runs.

    Raises TenfoldError, OSError and what a damaged answer causes.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        timeout=question.left(BOUND_ELSEWHERE_S),
    )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise TenfoldError(last)
    return from_json(json.loads(done.stdout))
