"""The standard streams of a command.

A stream that is closed, full, or read by nobody ends no command by accident.

A stream that is closed is opened on /dev/null, so that no socket or file gets its number. Errors
of stderr are dropped. Errors of stdout end a command that only reads (`OutputError`); a command
that acts on a cluster goes on (`tolerate`). Owns nothing of what is written.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer


class OutputError(Exception):
    """Standard output accepts no more.

    `cause` says why: EPIPE if nobody reads it any more.
    """

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"cannot write to standard output: {cause.strerror}")
        self.cause = cause

    @property
    def nobody_reads(self) -> bool:
        """Whether the reader has gone, as in `tenfold logs | head`."""
        return self.cause.errno == errno.EPIPE


class Output(io.RawIOBase):
    """The file descriptor of stdout or stderr.

    Attributes:
        raises: whether a failed write raises OutputError, once; what follows is then dropped.
        failure: the first error of a write.
    """

    def __init__(self, descriptor: int, *, raises: bool) -> None:
        self._descriptor = descriptor
        self.raises = raises
        self.failure: OSError | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Write some of `data` and return the number of bytes.

        If none can be written, the result is as if all were.
        """
        size = memoryview(data).nbytes
        while self.failure is None or not self.raises:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # another program has made the pipe or terminal non-blocking
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.failure = self.failure or error
                if self.raises:
                    raise OutputError(error) from error
                return size
        return size


_outputs: dict[str, Output] = {}


def install() -> None:
    """Make the standard streams of this process safe. For a process of tenfold's own."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _safe("stdout", 1, sys.stdout)
    sys.stderr = _safe("stderr", 2, sys.stderr)


def _safe(name: str, descriptor: int, before: TextIO | None) -> TextIO:
    output = _outputs[name] = Output(descriptor, raises=name == "stdout")
    by_line = name == "stderr" or output.isatty()
    if isinstance(before, io.TextIOWrapper):
        by_line = by_line or before.line_buffering or before.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding=before.encoding if before is not None else "utf-8",
        errors="replace",  # no encoding of a terminal is worth a traceback
        line_buffering=by_line,
    )


def tolerate() -> None:
    """Continue whatever happens to stdout.

    What this process does is worth more than its output.
    """
    for output in _outputs.values():
        output.raises = False


def take_failure() -> OutputError | None:
    """The error that stdout has met, if any. It is returned once."""
    output = _outputs.get("stdout")
    if output is None:
        return None
    with contextlib.suppress(OutputError):
        sys.stdout.flush()
    failure = output.failure
    if not output.raises:
        output.failure = None
    return OutputError(failure) if failure else None


def nobody_reads() -> bool:
    """Whether the reader of stdout is gone.

    Then it is a pipe without a reader, or a terminal that hung up.
    """
    if "stdout" not in _outputs:
        return False
    poll = select.poll()
    poll.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
