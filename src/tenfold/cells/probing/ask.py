"""Run other programs with a time limit, one or several at once.

A program that hangs (a client of a daemon that hangs, a file system that is gone) costs its bound
and no more. It is killed, with all that it started in its session; one that the kernel itself
holds (a driver that hangs) ends when the kernel lets it, and is not waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

from tenfold.errors import printable

_END_S = 1.0

_running: set[subprocess.Popen[bytes]] = set()
_watch = threading.Lock()


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended, and its output. `code` is negative for a signal."""

    code: int
    out: str
    err: str

    def last_line(self) -> str:
        """The last line of output with text, preferably of stderr, fit for display."""
        lines = [line.strip() for text in (self.out, self.err) for line in text.splitlines()]
        said = [line for line in lines if line]
        return printable(said[-1])[:300] if said else f"it ended with {self.code}"


def ask(
    command: Sequence[str], timeout_s: float, env: Mapping[str, str] | None = None
) -> Answer | None:
    """The answer of `command`, or None if it takes more than `timeout_s` seconds.

    It has no terminal and no input, so it cannot ask for a password; its messages are English.
    A program that cannot be started answers with code 126. `env` is added to the environment.
    """
    surroundings = os.environ | {"LC_ALL": "C"} | dict(env or {})
    try:
        process = _start(command, surroundings)
    except OSError as error:
        return Answer(126, "", f"{command[0]}: {error.strerror}")
    try:
        out, err = process.communicate(timeout=max(0.0, timeout_s))
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)
    return Answer(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def _start(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with _watch:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        _running.add(process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the remaining processes without reading on.

    A grandchild may hold the pipes.
    """
    if process.returncode is None:
        _kill(process)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    with _watch:
        _running.discard(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


_T = TypeVar("_T")


def together(*probes: Callable[[], _T]) -> list[_T]:
    """The results of the probes in order. Each runs in its own thread.

    The first error of one is raised once all have ended. If this is interrupted (Ctrl-C), the
    programs that still run are killed and nobody is waited for.
    """
    slots: list[Future[_T]] = [Future() for _ in probes]
    for probe, slot in zip(probes, slots, strict=True):
        threading.Thread(target=_answer, args=(probe, slot), daemon=True).start()
    try:
        wait(slots)
    except BaseException:
        with _watch:
            for process in _running:
                _kill(process)
        raise
    return [slot.result() for slot in slots]


def _answer(probe: Callable[[], _T], slot: Future[_T]) -> None:
    try:
        slot.set_result(probe())
    except BaseException as error:
        slot.set_exception(error)
