"""Signals to a task's processes, and signals that reach tenfold's own processes.

A process inherits its signal mask and what it ignores from whoever starts it. tenfold's own
processes set both at their start, so that a shell, a cron job or a service manager that blocks or
ignores SIGCHLD or SIGTERM changes nothing; tasks get what an interactive shell gives a program.
"""

from __future__ import annotations

import contextlib
import os
import signal

from tenfold.base import procfs

_FIXED = frozenset({signal.SIGKILL, signal.SIGSTOP})

_FAULTS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
    | {signal.SIGTRAP, signal.SIGSYS}
)

_MEANINGLESS = frozenset(
    {signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM}
    | {signal.SIGPROF, signal.SIGIO, signal.SIGXCPU, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    | {
        getattr(signal, name)
        for name in ("SIGPWR", "SIGSTKFLT", "SIGPOLL")
        if hasattr(signal, name)
    }
    | {*range(getattr(signal, "SIGRTMIN", 1), getattr(signal, "SIGRTMAX", 0) + 1)}
)
"""Signals that end or stop a process by default and that no fault raises."""

_AS_PYTHON_STARTS = {signal.SIGPIPE: signal.SIG_IGN, signal.SIGXFSZ: signal.SIG_IGN}


def signal_group(pid: int, number: int) -> None:
    """Signal the process group that `pid` led. A missing group is no error.

    A process that is stopped is told to go on, too, when it is to end: it would not hear of it
    before (signal(7)).
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
        if number == signal.SIGTERM:
            os.killpg(pid, signal.SIGCONT)


def group_exists(pid: int) -> bool:
    """Whether a process or a zombie is left of the group that `pid` led."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is another user's by now
    return True


def runs_in_group(group: int) -> bool:
    """Whether a process of a group runs. Zombies do not.

    True if the kernel does not report it.
    """
    return not _shows_this_namespace() or bool(group_members(group))


def group_members(group: int) -> list[int]:
    """Pids of the processes of a group, without zombies.

    Empty if the kernel does not report them.
    """
    if not _shows_this_namespace():
        return []
    return [process.pid for process in procfs.living() if process.pgrp == group]


def _shows_this_namespace() -> bool:
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def unblock_all() -> None:
    """Unblock all signals of this process. Children inherit that."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def hear_of_children() -> None:
    """Make the kernel report exits of children, whatever the parent process set.

    With SIGCHLD ignored the kernel throws exit codes away (wait(2)); with SIGCHLD blocked nobody
    hears of an end. To be called at the start of a process, in its main thread.
    """
    with contextlib.suppress(ValueError):  # another thread than the main one
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    unblock_all()


def start_afresh() -> None:
    """Handle signals like a Python program started by an interactive shell.

    For processes of tenfold's own that have a session of their own. To be called in the main
    thread, before anything else sets a handler.
    """
    _set_defaults()
    for number, handler in _AS_PYTHON_STARTS.items():
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    unblock_all()


def outlast() -> None:
    """Ignore signals that would end this process and mean nothing to it.

    For processes that a task of the same user can reach. What means something (SIGTERM, SIGINT,
    SIGHUP) the caller handles. Programs that are executed later get the defaults.
    """
    for number in _MEANINGLESS & signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, lambda *_: None)


def before_exec(keep: frozenset[int] = frozenset()) -> None:
    """In a forked process: set a shell's defaults for the program to execute.

    What this process does about signals in `keep` stays.
    """
    _set_defaults(keep)
    unblock_all()


def before_exec_of_ours() -> None:
    """Prepare signals for a program of tenfold's own.

    Only signals of faults are to reach it.
    """
    block_all(but=_FAULTS)
    _set_defaults()


def block_all(but: frozenset[int] = frozenset()) -> None:
    """Block all signals that the kernel allows to block, except those of `but`.

    A fault of its own still ends it. Nobody else can end it then but with SIGKILL.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - but)


def _set_defaults(keep: frozenset[int] = frozenset()) -> None:
    for number in signal.valid_signals() - _FIXED - keep:
        with contextlib.suppress(OSError, ValueError):  # some the C library keeps for itself
            signal.signal(number, signal.SIG_DFL)
