"""Copy a container's output from the cluster into the run directory.

Each line has the time at which it was written.

Lines come with their times, which make `stdout.times`. A connection that breaks is made again a
second before its last line, and what came already is left out, line by line; so nothing is lost
or told twice, whatever a node does with its log files. Pods mix stdout and stderr: all of it is
in `stdout.log`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tenfold.errors import TenfoldError
from tenfold.run import files
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import TaskDirectory
from tenfold.tasks.barwatch import BarWatch

_KEPT_S = 2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0

OpenLog = Callable[[str | None], Iterator[bytes]]
"""The lines since a moment (RFC 3339), or all lines.

Raises TenfoldError when the connection breaks.
"""


def stamp(line: bytes) -> tuple[float, bytes] | None:
    """A line's time and its text. None for a line without a time."""
    word, _, text = line.partition(b" ")
    try:
        moment = datetime.fromisoformat(word.decode())
    except ValueError:
        return None
    return (moment.timestamp(), text) if moment.tzinfo else None


@dataclass(slots=True)
class RecentLines:
    """The lines of the last seconds, to recognize them when they come again."""

    last: float | None = None
    _lines: dict[int, Counter[int]] = field(default_factory=dict)
    _again: Counter[int] = field(default_factory=Counter)

    def since(self) -> str | None:
        """From when to read again, or None for the beginning.

        `known` recognizes each line from there on that was seen before, once each.
        """
        self._again = Counter()
        if self.last is None:
            return None
        first = int(self.last) - 1
        for second, lines in self._lines.items():
            if second >= first:
                self._again += lines
        return datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def known(self, moment: float, line: bytes) -> bool:
        """Whether this line came before. If not, it is recorded."""
        mark = hash(line)
        if self._again[mark] > 0:
            self._again[mark] -= 1
            return True
        second = int(moment)
        if second not in self._lines:
            self._lines[second] = Counter()
            for old in [one for one in self._lines if one < second - _KEPT_S]:
                del self._lines[old]
        self._lines[second][mark] += 1
        self.last = max(moment, self.last or 0.0)
        return False


class LogFollower:
    """Follows one container's log in its own thread, from `start` until it ends.

    `on_done` is called in that thread when nothing more will be written; `lost` then says what is
    missing, if something is.
    """

    def __init__(
        self,
        open_log: OpenLog,
        directory: TaskDirectory,
        limit: int,
        on_done: Callable[[], None],
    ) -> None:
        """`limit` is how many bytes of the log are kept at least."""
        self._open = open_log
        self._directory = directory
        self._limit = limit
        self._on_done = on_done
        self._ended = threading.Event()
        self._given_up = threading.Event()
        self._bars = BarWatch(directory)
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.lost: str | None = None

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def container_ended(self) -> None:
        """Note that the container has ended: no line will be added to its log."""
        self._ended.set()

    def give_up(self) -> None:
        """Stop reading."""
        self._given_up.set()
        self._ended.set()

    def _run(self) -> None:
        try:
            files.make_directory(self._directory.path)
            out = LogWriter(self._directory, "stdout", self._limit)
            try:
                self._follow(out)
            finally:
                out.close()
                self._bars.close()
                if out.lost_bytes:
                    self.lost = f"{out.lost_bytes} bytes of its output could not be written"
        except OSError as error:
            self.lost = f"its output cannot be stored: {error.strerror}"
        finally:
            self._on_done()

    def _follow(self, out: LogWriter) -> None:
        seen, pause_s = RecentLines(), _FIRST_PAUSE_S
        while not self._given_up.is_set():
            last = self._ended.is_set()  # then this reading is complete if it ends well
            try:
                self._read(seen, out)
                if last:
                    return
                pause_s = _FIRST_PAUSE_S
            except TenfoldError as error:
                if getattr(error, "status", None) == 404:  # the pod is gone, and its log
                    return
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            (self._given_up if last else self._ended).wait(pause_s)

    def _read(self, seen: RecentLines, out: LogWriter) -> None:
        for line in self._open(seen.since()):
            if self._given_up.is_set():
                return
            moment, text = stamp(line) or (seen.last or 0.0, line)
            if not seen.known(moment, line):
                out.write(text + b"\n", moment)
                self._look_for_bars(text + b"\n")

    def _look_for_bars(self, data: bytes) -> None:
        """Read a bar in `data`, at most once in a while. A pod's log has only whole lines."""
        self._bars.heard("stdout", data)
        if self._bars.wants_look and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + self._bars.every_s
            self._bars.look()
