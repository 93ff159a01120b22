"""Find the progress bars in the output of a task's life, and write `bar.json`.

A bar is text that a program writes over: tqdm's, Keras', rich's, wget's, or a loop's own. What it
says counts as the task's progress where the task reports none by `tenfold.progress`. A bar that is
drawn again without having moved makes no progress, which `standing` tells the hang policy.

Cost: a copy of a few kilobytes for each piece of output, and one look per `every_s` seconds, which
grows with the cluster: all tasks together write some `_MOST_PER_S` files per second, however often
they draw their bars.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tenfold.base.escapes import plain
from tenfold.run import files
from tenfold.run.barfile import BarFile
from tenfold.run.logs.overwriting import ends_above, is_blank, is_overwritten, rows_up, visible
from tenfold.run.progress import Progress
from tenfold.run.rundir import TaskDirectory
from tenfold.tasks.bars import BarReading, read_bar
from tenfold.tasks.figures import OddFigures, Pace
from tenfold.tasks.progresslog import ProgressLog

_TAIL_BYTES = 1 << 12
_LEAST_S = 1.0
_MOST_PER_S = 30
_MOST_LINES = 8
_LAST_UP = re.compile(rb"\x1b\[\d*[AF]")
_EPOCH_LINE = re.compile(rb"(?:^|\n)Epoch (\d+/\d+)\r?\n")


@dataclass(slots=True)
class _Stream:
    """The end of a stream with a bar, and whether it has grown since the last look."""

    tail: bytes = b""
    news: bool = False


class BarWatch:
    """Watches both streams of one life.

    Whoever feeds it calls `look` when `wants_look` says so.

    Attributes:
        every_s: the least number of seconds between two looks.
    """

    def __init__(self, directory: TaskDirectory, tasks: int = 1) -> None:
        """`tasks`: how many tasks the cluster has."""
        self.every_s = max(_LEAST_S, tasks / _MOST_PER_S)
        self._directory = directory
        self._log = ProgressLog()
        self._streams: dict[str, _Stream] = {}
        self._epoch: str | None = None
        self._told: BarFile | None = None
        self._moves = 0
        self._pace, self._odd = Pace(), OddFigures()

    def heard(self, stream: str, data: bytes) -> None:
        """Note `data` that the task has written to `stream`."""
        piece = data[-_TAIL_BYTES:]
        known = self._streams.get(stream)
        if known is None:
            if b"\r" not in piece and b"\b" not in piece:
                return
            known = self._streams[stream] = _Stream()
        known.tail = (known.tail + piece)[-_TAIL_BYTES:] if len(piece) < _TAIL_BYTES else piece
        known.news = True
        if b"Epoch " in piece and (found := _EPOCH_LINE.findall(known.tail)):
            self._epoch = found[-1].decode()

    @property
    def wants_look(self) -> bool:
        """Whether there is something to look at."""
        return any(stream.news for stream in self._streams.values())

    def look(self) -> None:
        """Read the newest bar, and write what has changed. Disk errors never raise."""
        news = [stream for stream in self._streams.values() if stream.news]
        for stream in news:
            stream.news = False
        found = [bar for stream in news if (bar := newest_bar(stream.tail)) is not None]
        if found:
            reading, is_open = max(found, key=lambda bar: bar[1])
            self._tell(reading, is_open)
        elif news and self._told is not None:
            self._write(replace(self._told, open=False, standing=False))

    def close(self) -> None:
        """Look at what was written last."""
        if self.wants_look:
            self.look()

    def _tell(self, bar: BarReading, is_open: bool) -> None:
        figures: dict[str, str | float | None] = {**bar.figures}
        if self._epoch is not None:
            figures.setdefault("epoch", self._epoch)
        self._odd.note(bar.done, figures, cheaply=False)
        before = self._told
        said = Progress(bar.done, bar.total, bar.unit, figures=figures)
        if before is not None and _shape(before.name, before.progress) == _shape(bar.name, said):
            said, standing = before.progress, True
        else:
            self._moves += 1
            paced = self._pace.rate(time.monotonic(), bar.done)
            rate = bar.rate if bar.rate is not None else paced
            odd = dict(self._odd.found)
            said = replace(said, rate=rate, time=time.time(), not_finite=odd)
            standing = False
            self._keep(said)
        may_move = is_open and not bar.finished
        self._write(BarFile(said, bar.name, may_move, standing, self._moves))

    def _keep(self, said: Progress) -> None:
        """Add the bar to the curves of a task that reports nothing itself."""
        if not files.exists(self._directory.progress):
            self._log.write(self._directory.progress_log, said, time.monotonic())

    def _write(self, said: BarFile) -> None:
        if said == self._told:
            return
        self._told = said
        with contextlib.suppress(OSError):  # a full disk
            said.write(self._directory.bar)


def _shape(name: str, said: Progress) -> tuple[object, ...]:
    """What changes when a bar moves."""
    return name, said.done, said.total, said.figures


def newest_bar(tail: bytes) -> tuple[BarReading, bool] | None:
    """The bar that a stream ends with, and whether it may still move.

    None if other text is newer than any bar. Of nested bars it is the innermost.
    """
    lines = tail.split(b"\n")
    if len(tail) >= _TAIL_BYTES:
        lines[0] = lines[0].partition(b"\r")[2]  # what is before is cut
    below = 0
    for distance, line in enumerate(reversed(lines[-_MOST_LINES:])):
        up = rows_up(line)
        drawn = is_overwritten(line) or line.startswith(b"\r") or up > 0 or below > 0
        for text in _texts(line):
            if is_blank(text):
                continue
            bar = read_bar(plain(text.decode(errors="replace"))) if drawn else None
            return None if bar is None else (bar, distance == 0 or below > 0 or ends_above(line))
        below = max(below - 1, up)
    return None


def _texts(line: bytes) -> Iterator[bytes]:
    """What a line shows.

    First comes its lower row, if the program moved up after drawing it.
    """
    if not ends_above(line):
        for found in [*_LAST_UP.finditer(line)][-1:]:
            yield visible(line[: found.start()])
    yield visible(line)
