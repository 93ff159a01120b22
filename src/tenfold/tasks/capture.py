"""A task's output: from its pipes into the run directory, byte for byte.

The supervisor reads as fast as it can, so that a slow reader of the log never slows a task, and a
full disk never stops one. What is in a pipe when its task ends, however it ends, is taken before
that is told. How it is kept is `logwriter`'s; progress bars in it are `barwatch`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import sys
from collections.abc import Callable

from tenfold.run.logs import STREAMS
from tenfold.run.logs.writer import DiskHandler, LogWriter
from tenfold.run.rundir import TaskDirectory
from tenfold.tasks.barwatch import BarWatch

DataHandler = Callable[[str, bytes], None]
"""Called with `stdout` or `stderr`, and the data just written."""

_CHUNK_BYTES = 1 << 20
_RETRY_S = 0.5


class StreamCapture:
    """One pipe and the log it fills."""

    def __init__(self, writer: LogWriter, stream: str, on_data: DataHandler) -> None:
        self._writer = writer
        self._stream = stream
        self._on_data = on_data
        self._retry: asyncio.TimerHandle | None = None
        self._read, self.write_end = os.pipe()
        os.set_blocking(self._read, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._read, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)

    @property
    def lost_bytes(self) -> int:
        """The number of bytes that could not be written."""
        return self._writer.lost_bytes

    def start(self) -> None:
        """Start reading.

        The write end belongs to the child now and is closed here.
        """
        os.close(self.write_end)
        self.write_end = -1
        asyncio.get_running_loop().add_reader(self._read, self._take)

    def _take(self) -> int:
        """Read once, and return the number of bytes."""
        try:
            data = os.read(self._read, _CHUNK_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            asyncio.get_running_loop().remove_reader(self._read)
            return 0
        self._writer.write(data)
        if self._writer.waits and self._retry is None:
            self._retry_soon()
        self._on_data(self._stream, data)
        return len(data)

    def _retry_soon(self) -> None:
        self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._write_again)

    def _write_again(self) -> None:
        self._writer.try_again()
        self._retry = None
        if self._writer.waits:
            self._retry_soon()

    def close(self) -> None:
        """Read the rest of the pipe, then close everything."""
        if self.write_end >= 0:
            os.close(self.write_end)
        else:
            left = _CHUNK_BYTES  # a pipe holds no more, whatever a survivor goes on writing
            while left > 0 and (taken := self._take()):
                left -= taken
            asyncio.get_running_loop().remove_reader(self._read)
        if self._retry is not None:
            self._retry.cancel()
        os.close(self._read)
        self._writer.close()


class Capture:
    """Both streams of one start of a task, whose logs are kept to `limit` bytes each.

    `on_disk` is as for `LogWriter`; it hears of each stream. `tasks` is the number of tasks of the
    cluster: the more there are, the less often the progress bar of each is read.
    """

    def __init__(
        self,
        directory: TaskDirectory,
        on_data: DataHandler,
        limit: int,
        on_disk: DiskHandler = lambda _: None,
        *,
        tasks: int = 1,
    ) -> None:
        """Raises OSError if a log cannot be opened or no pipe is available."""
        self._on_data = on_data
        self._bars = BarWatch(directory, tasks)
        self._look: asyncio.TimerHandle | None = None
        self._streams: list[StreamCapture] = []
        try:
            for name in STREAMS:
                writer = LogWriter(directory, name, limit, on_disk)
                try:
                    self._streams.append(StreamCapture(writer, name, self._heard))
                except OSError:
                    writer.close()
                    raise
        except OSError:
            self.close()
            raise

    def _heard(self, stream: str, data: bytes) -> None:
        self._bars.heard(stream, data)
        if self._look is None and self._bars.wants_look:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(self._bars.every_s, self._look_at_bars)
        self._on_data(stream, data)

    def _look_at_bars(self) -> None:
        self._look = None
        self._bars.look()

    @property
    def write_ends(self) -> tuple[int, int]:
        """The descriptors that become the task's stdout and stderr."""
        return self._streams[0].write_end, self._streams[1].write_end

    @property
    def lost_bytes(self) -> int:
        """The number of bytes that could not be written, for example on a full disk."""
        return sum(stream.lost_bytes for stream in self._streams)

    def start(self) -> None:
        """Start reading, once the task has its ends of the pipes."""
        for stream in self._streams:
            stream.start()

    def close(self) -> None:
        """Write out everything so far to the files. Later output is lost."""
        for stream in self._streams:
            stream.close()
        if self._look is not None:
            self._look.cancel()
        self._bars.close()


def allow_many_files() -> None:
    """Raise this process's limit of open files: a task takes six descriptors.

    Tasks themselves keep the usual limit.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
