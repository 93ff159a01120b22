"""The meaning of an exit code or a signal, and what to look at then. Pure.

Facts: 126, 127 and 128 + n are a POSIX shell's; 2 is argparse's and getopt's for bad arguments;
signals are those of signal(7).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

_SHELL = 128


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an end means, as a clause, and what to do about it."""

    words: str
    hint: str | None = None


_CODES = {
    2: Meaning(
        "bad input: the usual exit code for invalid arguments", "check the command and the file"
    ),
    126: Meaning(
        "its command cannot be executed",
        "make it executable with chmod +x, or use its interpreter in `run`",
    ),
    127: Meaning("its command was not found", "check that it is installed there and on PATH"),
}

_SIGNALS = {
    signal.SIGKILL: Meaning(
        "killed by a user, or by the kernel because memory ran out",
        "check for a kill by the kernel: dmesg | grep -i -E 'killed process|oom'",
    ),
    signal.SIGTERM: Meaning("it was asked to end, but not by tenfold"),
    signal.SIGINT: Meaning("it was interrupted, but not by tenfold"),
    signal.SIGHUP: Meaning("its terminal or session was closed"),
    signal.SIGSEGV: Meaning(
        "a crash in native code", "find the library with dmesg | grep segfault"
    ),
    signal.SIGABRT: Meaning("native code aborted: see the failed check or assertion above"),
    signal.SIGBUS: Meaning(
        "memory of a file was not available: /dev/shm or the disk is full",
        "check free space: df -h /dev/shm .",
    ),
    signal.SIGILL: Meaning(
        "the CPU does not support an instruction", "install a build for the CPU of this machine"
    ),
    signal.SIGFPE: Meaning("a division by zero in native code"),
    signal.SIGPIPE: Meaning("the reader of its output had closed it"),
    signal.SIGXCPU: Meaning("it exceeded its limit of CPU time", "ulimit -t"),
    signal.SIGXFSZ: Meaning("it exceeded its limit of file size", "ulimit -f"),
}


def signal_number(name: object) -> int | None:
    """9 for `SIGKILL`, and for `signal 9`."""
    if not isinstance(name, str):
        return None
    with_name = getattr(signal, name, None)
    if isinstance(with_name, int):
        return int(with_name)
    last = name.rpartition(" ")[2]
    return int(last) if last.isdigit() else None


def meaning(exit_code: int | None, signal_name: object) -> Meaning | None:
    """The meaning of an exit code or a signal, or None if it means nothing.

    The signal is given by its name.

    128 + n is how a shell tells that its last command was killed by signal n.
    """
    if exit_code in _CODES:
        return _CODES[exit_code]
    number = signal_number(signal_name)
    if number is None and exit_code is not None and exit_code > _SHELL:
        number = exit_code - _SHELL
        found = _SIGNALS.get(_known(number))
        if found is None:
            return None
        return Meaning(
            f"the exit code of a shell for {_known(number).name}: {found.words}", found.hint
        )
    return _SIGNALS.get(_known(number)) if number is not None else None


def _known(number: int) -> signal.Signals:
    try:
        return signal.Signals(number)
    except ValueError:
        return signal.SIGCHLD  # which ends nothing, and means nothing here
