"""Get the stacks of one task's processes.

They come from the task's own answer, else from py-spy. Otherwise the reason is given.

Asking never harms. The signal goes only to a process that catches it, and still has the file open
that it answers into. faulthandler reads the frames of all threads from the one that handles the
signal, without the interpreter's lock; a thread that runs meanwhile may give back the memory it
reads (seen on 3.11: a crash within 200 answers of a process whose threads did nothing else). So it
is asked only while no thread runs, or one, which then is the one that is signalled. A process that
is stopped, held by a debugger or deep in the kernel is not signalled at all; py-spy reads it
without pausing it. Every step has a bound.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tenfold.debug import parse, processes
from tenfold.debug.answers import DIRECTORY, FILE, SIGNAL
from tenfold.debug.stacks import ProcessStacks
from tenfold.run import files
from tenfold.run.rundir import TaskDirectory

ANSWER_S = 1.0
"""How long a process may take to answer."""

STILL_S = 0.5
"""How long a moment is looked for in which at most one thread of it runs."""

_STILL_OR_SPY_S = 0.1
"""The same where py-spy is there to see it otherwise."""

_MOMENT_S = 0.02
"""Seconds for which the other threads must not have run."""

SPY_S = 3.0
"""How long py-spy may take; it reads the symbols of the interpreter first."""

_LOCK_S = 1.0
_POLL_S = 0.005
_LONGEST_POLL_S = 0.04
_MOST_BYTES = 1 << 20
_STILL = ("T", "t", "D")
"""States in which a process takes no signal."""

_CAUSE = re.compile(r"^ *(?:Error|\d+): (?!anyhow|py_spy|std::|main$|core::|<)")
"""Lines of py-spy's errors that give the cause, not the location in py-spy."""

_NO_SPY = "py-spy is not installed"
_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
_CONTAINER = Path("/.dockerenv")


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask for.

    `native`: frames of C and C++ too, which only py-spy knows. `until` is a `time.monotonic` after
    which nothing more is begun.
    """

    until: float
    native: bool = False

    def left(self, most_s: float) -> float:
        """Seconds that may still be used, `most_s` at most."""
        return max(0.0, min(most_s, self.until - time.monotonic()))


def stacks_of(
    directory: TaskDirectory, root: int, all_of_them: processes.Family, question: Question
) -> tuple[ProcessStacks, ...]:
    """The processes of the task whose first one is `root`; empty if it is gone."""
    found = []
    with _answers(directory, question) as answers:
        for pid in all_of_them.of(root):
            process = processes.look(pid)
            if process is not None:
                found.append(_asked(process, answers, question))
    return tuple(found)


@contextlib.contextmanager
def _answers(directory: TaskDirectory, question: Question) -> Iterator[int | None]:
    """The file that the task's processes answer into, or None if they do not.

    It is for one asker at a time.
    """
    path = directory.path / DIRECTORY / FILE
    try:
        stream = files.open_descriptor(path, os.O_RDWR)
    except (OSError, ValueError):
        yield None
        return
    try:
        yield stream if _locked(stream, question.left(_LOCK_S)) else None
    finally:
        os.close(stream)


def _locked(stream: int, most_s: float) -> bool:
    deadline = time.monotonic() + most_s
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
        time.sleep(_POLL_S)


def _asked(process: ProcessStacks, answers: int | None, question: Question) -> ProcessStacks:
    """`process` with its stacks, or with the reason why there are none.

    Where native frames are wanted and not to be had, with Python's, and the reason.
    """
    if not question.native:
        return _plain(process, answers, question)
    native = _spied(process, question) if processes.is_python(process.pid) else process
    if native.stacks:
        return native
    found = _plain(process, answers, replace(question, native=False))
    return replace(found, trouble=native.trouble, hint=native.hint) if found.stacks else found


def _plain(process: ProcessStacks, answers: int | None, question: Question) -> ProcessStacks:
    """Python's frames: as the process answers, or as py-spy sees them."""
    why = "does not respond"
    if answers is not None:
        text, why = _answer(process, answers, question)
        if stacks := parse.from_faulthandler(text):
            return replace(process, source="faulthandler", stacks=stacks, raw=text)
    if not processes.is_python(process.pid):
        return replace(process, trouble="is not a Python program")
    found = _spied(process, question)
    if found.trouble == _NO_SPY:
        return replace(found, trouble=f"{why}, and {_NO_SPY}")
    return found


def _answer(process: ProcessStacks, answers: int, question: Question) -> tuple[str, str]:
    """What the process writes when it is signalled.

    If it does not answer in time, this is empty and the reason is given.
    """
    if SIGNAL is None or process.state in _STILL:
        return "", "cannot receive signals now"
    before = processes.answering(process.pid, SIGNAL)
    if not before.caught or before.pending or not _answers_into(process.pid, answers):
        return "", "does not respond"
    thread = _only_mover(process.pid, before, question)
    if thread is None:
        return "", "runs in several threads: cannot respond safely"
    try:
        os.ftruncate(answers, 0)
        processes.signal_thread(process.pid, thread, SIGNAL)
    except OSError:
        return "", "does not respond"
    deadline = time.monotonic() + question.left(ANSWER_S)
    pause_s = _POLL_S
    while not _has_answered(process.pid, answers, before.blocked):
        if time.monotonic() > deadline:
            return "", "has not responded"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_POLL_S)
    return os.pread(answers, _MOST_BYTES, 0).decode(errors="replace"), ""


def _answers_into(pid: int, answers: int) -> bool:
    return processes.has_open(pid, os.fstat(answers))


def _only_mover(pid: int, before: processes.Answering, question: Question) -> int | None:
    """The only thread that runs, or the main thread if none does.

    None if there was no such moment.
    """
    assert SIGNAL is not None
    most_s = STILL_S if py_spy() is None else _STILL_OR_SPY_S
    deadline = time.monotonic() + question.left(most_s)
    while True:
        time.sleep(_MOMENT_S)
        now = processes.answering(pid, SIGNAL)
        moving = now.moving(before)
        if len(moving) <= 1:
            return moving[0] if moving else pid
        if time.monotonic() > deadline:
            return None
        before = now


def _has_answered(pid: int, answers: int, blocked: frozenset[int]) -> bool:
    """Whether the answer is complete.

    The kernel blocks a signal in the thread that handles it.
    """
    assert SIGNAL is not None
    if os.fstat(answers).st_size == 0:
        return False
    now = processes.answering(pid, SIGNAL)
    return not now.pending and now.blocked <= blocked


def py_spy() -> str | None:
    """Where the program py-spy is: beside the interpreter, or in PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _spied(process: ProcessStacks, question: Question) -> ProcessStacks:
    """Read stacks with py-spy.

    A stopped process is read as it is, since it cannot be paused once more.
    """
    program = py_spy()
    if program is None:
        hint = "install py-spy: pip install 'tenfold[profile]'"
        return replace(process, trouble=_NO_SPY, hint=hint)
    words = [program, "dump", "--json", "--pid", str(process.pid)]
    words += ["--native"] * question.native
    words += ["--nonblocking"] * (process.state in _STILL and not question.native)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            timeout=question.left(SPY_S),
        )  # fmt: skip
        if done.returncode == 0:
            stacks = parse.from_py_spy(done.stdout)
            return replace(process, source="py-spy", stacks=stacks, raw=done.stdout)
    except subprocess.TimeoutExpired:
        return replace(process, trouble="py-spy did not end in time")
    except (OSError, ValueError) as error:
        return replace(process, trouble=f"py-spy could not be used: {error}")
    return _refused(process, done.stderr, program)


def _refused(process: ProcessStacks, said: str, program: str) -> ProcessStacks:
    """The result if py-spy failed.

    It has the permission that py-spy lacks and the command that grants it, or its last line.
    """
    if "permission" in said.lower() or "not permitted" in said.lower():
        return replace(
            process,
            trouble="py-spy has no permission to read it",
            hint=_grant(program, process.pid),
        )
    causes = [line.strip() for line in said.splitlines() if _CAUSE.match(line)]
    words = [_CAUSE.sub("", line) for line in causes or ["no output"]]
    return replace(process, trouble=f"py-spy failed: {': '.join(dict.fromkeys(words))}")


def _grant(program: str, pid: int) -> str:
    """The command that lets py-spy look into processes.

    It allows this for the user's own processes, or it runs py-spy itself with the permission.
    """
    with contextlib.suppress(OSError, ValueError):
        scope = int(_SCOPE.read_text())
        if scope == 3:
            return "kernel.yama.ptrace_scope is 3: nobody may, until the machine starts without it"
        if scope > 0:
            return "sudo sysctl kernel.yama.ptrace_scope=0 allows it"
    if _CONTAINER.exists():
        return f"docker exec --privileged CONTAINER py-spy dump --pid {pid} may"
    return f'sudo "{program}" dump --pid {pid} may'
