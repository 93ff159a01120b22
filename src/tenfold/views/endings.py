"""What an exit code or a signal means, in words, and what to look at then. Pure.

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
    2: Meaning("bad input: programs refuse their arguments so", "look at the command and the file"),
    126: Meaning("its command cannot be executed", "chmod +x it, or name its interpreter in `run`"),
    127: Meaning("its command was not found", "is it installed there, and on PATH?"),
}

_SIGNALS = {
    signal.SIGKILL: Meaning(
        "something killed it: a person, or the kernel for want of memory",
        "dmesg | grep -i -E 'killed process|oom'",
    ),
    signal.SIGTERM: Meaning("something asked it to end, and it was not tenfold"),
    signal.SIGINT: Meaning("it was interrupted, and not by tenfold"),
    signal.SIGHUP: Meaning("its terminal or session went away"),
    signal.SIGSEGV: Meaning("a crash in native code", "dmesg | grep segfault names the library"),
    signal.SIGABRT: Meaning("native code gave up: a failed check or assertion says so above"),
    signal.SIGBUS: Meaning(
        "memory behind a file could not be had: a full /dev/shm or disk", "df -h /dev/shm ."
    ),
    signal.SIGILL: Meaning(
        "an instruction this CPU does not have", "install a build for this machine's CPU"
    ),
    signal.SIGFPE: Meaning("a division by zero in native code"),
    signal.SIGPIPE: Meaning("whoever read its output was gone"),
    signal.SIGXCPU: Meaning("its limit of CPU time was over", "ulimit -t"),
    signal.SIGXFSZ: Meaning("its limit of file size was reached", "ulimit -f"),
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
    """What an exit code, or the signal of this name, means; None if it means nothing by itself.

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
        return Meaning(f"a shell's word for {_known(number).name}: {found.words}", found.hint)
    return _SIGNALS.get(_known(number)) if number is not None else None


def _known(number: int) -> signal.Signals:
    try:
        return signal.Signals(number)
    except ValueError:
        return signal.SIGCHLD  # which ends nothing, and means nothing here
