"""Run a command beside a running task.

It runs in the task's namespaces, with its environment and directory.

What `tenfold exec` does. It keeps the terminal of whoever typed it, and ends when they do; in a
namespace it ends with the run, too. A user who owns a user namespace may enter it
(user_namespaces(7)), so no privilege is needed. Beside a task whose binds are answered, the
command's are answered too, by this process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tenfold.base import procfs
from tenfold.errors import TenfoldError
from tenfold.launch import binding, binds, namespace, signals
from tenfold.run.locks import holders

_PASSED_ON = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
)
"""Signals for this process that are meant for the command."""

_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""Signals that the command gets itself, from the terminal."""

_HELD_BACK = frozenset(_PASSED_ON + _OF_THE_TERMINAL)

_ORDER = (
    ("user", namespace.CLONE_NEWUSER),
    ("mnt", namespace.CLONE_NEWNS),
    ("net", namespace.CLONE_NEWNET),
    ("pid", namespace.CLONE_NEWPID),
)


def run_beside(pid: int, argv: Sequence[str], environment: dict[str, str], cwd: Path) -> int:
    """Run `argv` where the process `pid` runs, and return its exit code.

    The code is 128 + n for signal n.

    `environment` and `cwd` are the fallback where the process's own cannot be read.
    """
    environment = _environment_of(pid) or environment
    descriptors = _namespaces_of(pid)
    filtered = _filters_of(pid) > _filters_of(os.getpid())
    ours, theirs = socket.socketpair()
    ignored = frozenset({n for n in _PASSED_ON if signal.getsignal(n) == signal.SIG_IGN})
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    child = os.fork()
    if child == 0:
        answers = theirs if filtered else None
        _enter_and_run(descriptors, argv, environment, cwd, answers, ignored)
    for descriptor, _ in descriptors:
        os.close(descriptor)
    theirs.close()
    if filtered:
        _answer_binds(ours)
    ours.close()
    previous = _pass_on_to(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _pass_on_to(child: int) -> dict[int, Any]:
    """Forward the command's signals to the child. Returns the former handlers.

    They are forwarded even if the child has ended meanwhile.

    Whoever signals the whole process group reaches it, too. It then gets the signal again, or has
    ended: how it did is what counts.
    """

    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    previous: dict[int, Any] = {n: signal.signal(n, pass_on) for n in _PASSED_ON}
    return previous | {n: signal.signal(n, signal.SIG_IGN) for n in _OF_THE_TERMINAL}


def _environment_of(pid: int) -> dict[str, str]:
    found = procfs.read_environment(pid) or {}
    return {os.fsdecode(name): os.fsdecode(value) for name, value in found.items()}


def _answer_binds(child: socket.socket) -> None:
    """Answer the binds of a child, which sends its listener.

    This lasts as long as both live.
    """
    for listener in socket.recv_fds(child, 1, 1)[1]:
        threading.Thread(target=binds.serve, args=(listener,), daemon=True).start()


def _filters_of(pid: int) -> int:
    """The number of seccomp filters of a process.

    As far as the kernel reports it (Linux 5.9).
    """
    filters = (procfs.read_status(pid) or {}).get("Seccomp_filters", "")
    return int(filters) if filters.isdecimal() else 0


def _namespaces_of(pid: int) -> list[tuple[int, int]]:
    """Open files of those namespaces of `pid` that this process is not in."""
    found = []
    for name, kind in _ORDER:
        path = f"/proc/{pid}/ns/{name}"
        try:
            if os.readlink(path) != os.readlink(f"/proc/self/ns/{name}"):
                found.append((os.open(path, os.O_RDONLY | os.O_CLOEXEC), kind))
        except FileNotFoundError as error:
            if sys.platform == "linux":
                raise TenfoldError("the task has just ended", cause=error) from error
            return []
    return found


def _enter_and_run(
    descriptors: list[tuple[int, int]],
    argv: Sequence[str],
    environment: dict[str, str],
    cwd: Path,
    answers: socket.socket | None,
    ignored: frozenset[int],
) -> NoReturn:
    code = 126
    try:
        if answers is not None:
            listener = binding.install()
            socket.send_fds(answers, [b"\n"], [listener])
            os.close(listener)
            answers.close()
        for descriptor, kind in descriptors:
            namespace.join(descriptor, kind)
        namespace.die_with_parent(signal.SIGKILL)
        terminal = _Foreground()
        inner = os.fork()  # only a child is in the PID namespace that was joined
        if inner == 0:
            namespace.die_with_parent(signal.SIGKILL)
            terminal.take()
            os.chdir(cwd)
            signals.before_exec(keep=ignored)
            os.execvpe(argv[0], list(argv), environment)
        _pass_on_to(inner)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
        ended = os.waitstatus_to_exitcode(terminal.wait(inner))
        code = ended if ended >= 0 else 128 - ended
    except FileNotFoundError:
        os.write(2, os.fsencode(f"tenfold: {argv[0]}: not found\n"))
        code = 127
    except OSError as error:
        os.write(2, os.fsencode(f"tenfold: {argv[0]}: {error}\n"))
    finally:
        os._exit(code)


class _Foreground:
    """The terminal, lent to the command's own process group.

    A shell lends its terminal to a job in the same way.

    A shell inside could not find its way back to a group outside of its PID namespace, and
    Ctrl-C is the command's alone. Nothing happens here without a terminal.
    """

    def __init__(self) -> None:
        try:
            self._ours = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
        except OSError:
            self._ours = False

    def take(self) -> None:
        """Take the terminal, in the command's process, before the command runs."""
        if self._ours:
            os.setpgid(0, 0)
            self._give(os.getpgrp())

    def wait(self, pid: int) -> int:
        """Wait until the process ends, and return its status.

        When the process stops (Ctrl-Z), this process stops too.
        """
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED if self._ours else 0)
            if self._ours:
                self._give(os.getpgrp())
            if not os.WIFSTOPPED(status):
                return status
            os.killpg(0, signal.SIGSTOP)
            self._give(pid)
            os.killpg(pid, signal.SIGCONT)

    @staticmethod
    def _give(group: int) -> None:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, group)
        signal.signal(signal.SIGTTOU, before)


def require_pid(name: str, pid: object, supervisor_lock: Path) -> int:
    """The pid of a running task, after a check that it belongs to the run.

    A task is a descendant of the process that holds the lock.

    Raises TenfoldError if the task does not run, or if `pid`, which a file of the run directory
    says, names a process that is not of the run.
    """
    if not isinstance(pid, int):
        raise TenfoldError(f"{name} is not running", hint="list running tasks with `tenfold ps`")
    supervisors = holders(supervisor_lock)
    if supervisors and not any(parent in supervisors for parent in procfs.ancestors(pid)):
        raise TenfoldError(
            f"process {pid} does not belong to this run, although the status of {name} names it",
            hint="the status file was changed, or the task has just ended; check with `tenfold ps`",
        )
    return pid
