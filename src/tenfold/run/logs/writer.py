"""The writer of one stream's log.

It writes every byte unchanged and records when it came, up to the log's limit, on a full disk too.

Bytes go to `stdout.log` as they came; `stdout.times` says when: lines of `OFFSET UNIX_TIME`, at
most one every `_STAMP_S` seconds, from which a view orders and dates lines.

**Limit.** At the first line's end at `limit` bytes or beyond it (a line of more than `_SLACK_BYTES`
is cut) the log becomes `stdout.log.1`, in the place of an older one, and a new one begins. So the
last `limit` bytes are always there, and never more than twice that and a little. First the times
are renamed, then the log; then new times are begun, whose first line has the offset at which the
new log begins. So a reader sees by missing times that it looked in between, and a writer that
finds it so was killed in between, and goes on (`_finish_turn`).

**Exceptions.** What a program says when it breaks is kept in `stdout.broken.json` when its life
has ended, however much it wrote after that (`tenfold.run.logs.tracebacks`).

**A full disk.** What cannot be written is held back, its last `HELD_BYTES` at least, and written
when there is room again; before it a line says how many bytes are missing there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable

from tenfold.run import files
from tenfold.run.appending import append, open_to_append
from tenfold.run.jsonfiles import write_json
from tenfold.run.logs.files import look
from tenfold.run.logs.tracebacks import ExceptionWatch
from tenfold.run.rundir import TaskDirectory

HELD_BYTES = 1 << 16
_STAMP_S = 0.05
_SLACK_BYTES = 1 << 20
_TRY_S = 0.1
_FLAGS = os.O_WRONLY | os.O_APPEND

_OFFSET_S = time.time() - time.monotonic()


def now() -> float:
    """Seconds since 1970. Never decreases while this process lives.

    Offsets never decrease either.
    """
    return time.monotonic() + _OFFSET_S


DiskHandler = Callable[[int | None], None]
"""Called with None when the disk refuses further writes.

Called with a number when that is over for this log: so many bytes are lost.
"""


class LogWriter:
    """The one writer of a stream's log and times. Disk errors never raise.

    `limit` is in bytes. `on_disk` hears of a full disk, and of its end, or the log's.
    """

    def __init__(
        self,
        directory: TaskDirectory,
        stream: str,
        limit: int,
        on_disk: DiskHandler = lambda _: None,
    ) -> None:
        """Raises OSError if the files cannot be opened."""
        self._directory, self._stream = directory, stream
        self._limit = self._bound = limit
        self._on_disk = on_disk
        turned = files.exists(directory.older_times(stream))
        if turned:
            self._finish_turn()
        self._times, self._log = self._open()
        self._base = look(directory, stream).turn if turned else 0
        self._size = os.fstat(self._log).st_size
        self._headed = self._base == 0 or os.fstat(self._times).st_size > 0
        self._stamped = self._least = 0.0
        self._watch = ExceptionWatch()
        with contextlib.suppress(OSError):
            directory.broken(stream).unlink()  # an earlier life's
        self._ended = True
        self._end_line()
        self._missing = 0
        self._held = bytearray()
        self._trouble = ""
        self._next_try = 0.0
        self._lost = 0

    @property
    def lost_bytes(self) -> int:
        """The number of bytes missing from the log.

        Some of them may be held back for it.
        """
        return self._lost + self._missing

    @property
    def waits(self) -> bool:
        """Whether bytes are held back until the disk accepts them."""
        return self._missing > 0

    def write(self, data: bytes, moment: float | None = None) -> None:
        """Append `data`, written at `moment` (seconds since 1970) or now."""
        self._watch.feed(data)
        if self.waits and not self._said_again():
            self._hold(data)
            return
        self._stamp(now() if moment is None else moment)
        while data:
            piece = data[: room(self._size, self._bound, data)]
            written = self._put(piece)
            if written < len(piece):
                self._hold(data[written:])
                return
            data = data[len(piece) :]
            full = self._size >= self._bound
            if full and (self._ended or self._size >= self._bound + _SLACK_BYTES):
                self._turn()

    def try_again(self) -> None:
        """Write what was held back, if the disk accepts it now."""
        if self.waits:
            self._said_again()

    def close(self) -> None:
        """Close the log. Nothing is written afterwards.

        What is held back even now is lost.
        """
        self._next_try = 0.0
        self.try_again()
        if self.waits:
            self._on_disk(self._missing)
        os.close(self._log)
        os.close(self._times)
        self._watch.end()
        if (found := self._watch.to_json()) is not None:
            with contextlib.suppress(OSError):  # a full disk: the last lines are looked at then
                write_json(self._directory.broken(self._stream), found)

    # writing

    def _open(self) -> tuple[int, int]:
        """Open the newest times, which end with a whole line, and the newest log."""
        times = open_to_append(self._directory.times(self._stream))
        try:
            log, aside = files.open_own(self._directory.log(self._stream), _FLAGS)
        except OSError:
            os.close(times)
            raise
        if aside is not None:
            append(log, _aside_line(aside.name))
        return times, log

    def _end_line(self) -> None:
        """End the last line of an earlier life: what follows is another program's."""
        found = look(self._directory, self._stream)
        cut = self._size > 0 and found.read(found.end - 1, 1) not in (b"\n", b"")
        if cut and append(self._log, b"\n"):
            self._size += 1

    def _put(self, data: bytes) -> int:
        """Write `data`, and return how many bytes the disk accepted."""
        view, written = memoryview(data), 0
        try:
            while written < len(data):
                written += os.write(self._log, view[written:])
        except OSError as error:
            self._trouble = _words(error)
        self._size += written
        if written:
            self._ended = data[written - 1] == 0x0A
        return written

    def _stamp(self, moment: float) -> None:
        moment = max(moment, self._least)
        if moment - self._stamped < _STAMP_S:
            return
        self._keep()
        line = b"%d %.3f\n" % (self._base + self._size, moment)
        if not self._headed:
            line = b"%d %.3f\n" % (self._base, moment) + (line if self._size else b"")
        if append(self._times, line):
            self._headed, self._stamped, self._least = True, moment, moment

    def _keep(self) -> None:
        """Begin a new log if somebody removed the log or replaced it."""
        directory, stream = self._directory, self._stream
        if files.is_open(directory.log(stream), self._log):
            return
        files.set_aside(directory.log(stream))
        files.set_aside(directory.times(stream))
        try:
            begun = self._open()
        except OSError:  # its directory is gone, too
            return
        self._take(begun, self._base if files.exists(directory.older_log(stream)) else 0)
        gone = f"[tenfold: this log was removed, and {self._size:,} bytes with it]\n".encode()
        self._size = len(gone) if append(self._log, gone) else 0

    def _take(self, begun: tuple[int, int], base: int) -> None:
        """Write to these times and this log from now on.

        The first byte of the log has the offset `base`.
        """
        os.close(self._times)
        os.close(self._log)
        self._times, self._log = begun
        self._base = base
        self._bound, self._headed, self._stamped = self._limit, False, 0.0

    # the limit

    def _finish_turn(self) -> None:
        """Complete a turn whose writer was killed after renaming only the times."""
        if not files.exists(self._directory.times(self._stream)):
            with contextlib.suppress(OSError):
                older = self._directory.older_log(self._stream)
                files.rename(self._directory.log(self._stream), older.name)

    def _turn(self) -> None:
        """Begin a new log.

        If that fails, the old log grows by its limit before the next try.
        """
        directory, stream = self._directory, self._stream
        renames = (
            (directory.times(stream), directory.older_times(stream)),
            (directory.log(stream), directory.older_log(stream)),
        )
        try:
            for newest, older in renames:
                if files.exists(newest):  # not if an earlier try came no further than this
                    files.rename(newest, older.name)
            begun = self._open()
        except OSError:
            self._bound = self._size + self._limit
            return
        self._take(begun, self._base + self._size)
        self._size = 0
        self._stamp(self._least)

    # the full disk

    def _hold(self, data: bytes) -> None:
        if not self._missing and data:
            self._on_disk(None)
        self._missing += len(data)
        self._held += data[-2 * HELD_BYTES :]
        if len(self._held) > 2 * HELD_BYTES:
            del self._held[:-HELD_BYTES]

    def _said_again(self) -> bool:
        """Write what was held back, after a line about lost bytes. Returns success."""
        moment = time.monotonic()
        if moment < self._next_try:
            return False
        self._next_try = moment + _TRY_S
        held = bytes(self._held)
        if lost := self._missing - len(held):
            cut = held.find(b"\n") + 1  # from where a whole line begins
            held, lost = held[cut:], lost + cut
        said = _lost_line(lost, self._trouble, self._ended) if lost else b""
        self._stamp(now())
        if not append(self._log, said + held):
            return False
        self._size += len(said + held)
        self._ended = (said + held).endswith(b"\n")
        self._lost += lost
        self._missing = 0
        self._held.clear()
        self._on_disk(lost)
        return True


def room(size: int, limit: int, data: bytes) -> int:
    """How many bytes of `data` fit in a log of `size` bytes.

    The log is to end at `limit`, or a bit later, where a line ends.
    """
    left = limit - size
    if len(data) < left:
        return len(data)
    end = data.find(b"\n", max(0, left - 1)) + 1
    most = max(0, left + _SLACK_BYTES)
    return min(end or len(data), most)


def _lost_line(count: int, trouble: str, ended: bool) -> bytes:
    line = f"[tenfold: {count:,} bytes lost: {trouble}]\n".encode()
    return line if ended else b"\n" + line


def _aside_line(name: str) -> bytes:
    return f"[tenfold: another file had the name of this log: renamed to {name}]\n".encode()


def _words(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC:
            return "the disk was full"
        case errno.EDQUOT:
            return "the disk quota was exceeded"
        case _:
            return error.strerror or "it could not be written"
