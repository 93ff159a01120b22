"""A task's output: from its pipes into the run directory, byte for byte, with the times.

The supervisor reads as fast as it can, so that a slow reader of the log never slows a task. Bytes
go to `stdout.log` as they came; `stdout.times` says when: lines of `OFFSET UNIX_TIME`, at most
one every `_STAMP_S` seconds, from which a view orders and dates lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import sys
import time
from collections.abc import Callable

from tenfold.rundir import TaskDirectory

STREAMS = ("stdout", "stderr")

DataHandler = Callable[[str, bytes], None]
"""`stdout` or `stderr`, and what was just written there."""

_CHUNK_BYTES = 1 << 20
_STAMP_S = 0.05


class StreamCapture:
    """One pipe and the file it fills."""

    def __init__(self, directory: TaskDirectory, stream: str, on_data: DataHandler):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._log = os.open(directory.log(stream), flags, 0o600)
        self._times = os.open(directory.times(stream), flags, 0o600)
        self._offset = os.fstat(self._log).st_size
        self._stamped = 0.0
        self._stream = stream
        self._on_data = on_data
        self._read, self.write_end = os.pipe()
        os.set_blocking(self._read, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
        self.lost_bytes = 0

    def start(self) -> None:
        """Begin to read; the write end is the child's now and is closed here."""
        os.close(self.write_end)
        self.write_end = -1
        asyncio.get_running_loop().add_reader(self._read, self._take)

    def _take(self) -> int:
        """Read once; how many bytes came."""
        try:
            data = os.read(self._read, _CHUNK_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            asyncio.get_running_loop().remove_reader(self._read)
            return 0
        self._keep(data)
        self._on_data(self._stream, data)
        return len(data)

    def _keep(self, data: bytes) -> None:
        now = time.time()
        try:
            if now - self._stamped >= _STAMP_S:
                os.write(self._times, b"%d %.3f\n" % (self._offset, now))
                self._stamped = now
            written = 0
            while written < len(data):
                written += os.write(self._log, data[written:])
        except OSError:
            self.lost_bytes += len(data)
            self._offset = os.fstat(self._log).st_size
        else:
            self._offset += len(data)

    def close(self) -> None:
        """Take what is still in the pipe, then close everything."""
        if self.write_end >= 0:
            os.close(self.write_end)
        else:
            left = _CHUNK_BYTES  # a pipe holds no more, whatever a survivor goes on writing
            while left > 0 and (taken := self._take()):
                left -= taken
            asyncio.get_running_loop().remove_reader(self._read)
        for descriptor in (self._read, self._log, self._times):
            os.close(descriptor)


class Capture:
    """Both streams of one start of a task."""

    def __init__(self, directory: TaskDirectory, on_data: DataHandler) -> None:
        self._streams = [StreamCapture(directory, name, on_data) for name in STREAMS]

    @property
    def write_ends(self) -> tuple[int, int]:
        """The descriptors that become the task's stdout and stderr."""
        return self._streams[0].write_end, self._streams[1].write_end

    @property
    def lost_bytes(self) -> int:
        """Output that could not be written, on a full disk for example."""
        return sum(stream.lost_bytes for stream in self._streams)

    def start(self) -> None:
        """Begin to read, once the task has its ends of the pipes."""
        for stream in self._streams:
            stream.start()

    def close(self) -> None:
        """Everything written so far is in the files after this; later output is lost."""
        for stream in self._streams:
            stream.close()


def allow_many_files() -> None:
    """Every task costs this process six descriptors. Tasks themselves keep the usual limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
