"""Lines of many streams together: by time, or the last ones.

Holds one piece of each stream, however much there is to read.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence

from tenfold.run.logs.files import PIECE_BYTES
from tenfold.run.logs.reader import STREAMS, LogLine, LogReader
from tenfold.run.rundir import TaskDirectory

_ALL_PIECES_BYTES = 1 << 26
_LEAST_PIECE_BYTES = 1 << 13
_MOST_HIDDEN_BYTES = 1 << 24


def by_time(
    sources: Sequence[Iterator[LogLine]], *, back: bool = False
) -> Iterator[tuple[int, LogLine]]:
    """Lines of all sources by time, with their source.

    Each source keeps its order.

    With `back` times fall: sources give their last line first.
    """
    sign = -1 if back else 1
    heads = []
    for n, source in enumerate(sources):
        if line := next(source, None):
            heads.append((sign * line.time, sign * n, line))
    heapq.heapify(heads)
    while heads:
        key, place, line = heads[0]
        yield abs(place), line
        if after := next(sources[abs(place)], None):
            heapq.heapreplace(heads, (max(sign * after.time, key), place, after))
        else:
            heapq.heappop(heads)


def merged(
    all_readers: Sequence[LogReader], *, last: bool = False, ended: Collection[str] = ()
) -> Iterator[LogLine]:
    """New lines of all readers, by time. Lines of one stream keep their order.

    With `last`, and of the tasks `ended`, unfinished last lines are among them.

    Holds one piece of each stream, however much there is to read, and leaves what comes after
    the call to the next one, so that it ends however fast a task writes.
    """
    sources = [
        reader.lines(last=last or reader.task in ended, end_at=reader.size())
        for reader in all_readers
    ]
    return (line for _, line in by_time(sources) if not line.hidden)


def skip_to_tail(all_readers: Sequence[LogReader], lines: int) -> None:
    """Skip all but the last `lines` lines of each task, over both its streams."""
    by_task: dict[str, list[LogReader]] = {}
    for reader in all_readers:
        by_task.setdefault(reader.task, []).append(reader)
    for own in by_task.values():
        kept: dict[int, int] = {}
        sources = [_unread_back(reader) for reader in own]
        for n, line in itertools.islice(by_time(sources, back=True), lines):
            kept[n] = line.start
        for n, reader in enumerate(own):
            reader.skip_to(kept.get(n))


def _unread_back(reader: LogReader) -> Iterator[LogLine]:
    """The lines not read yet, last line first, without hidden ones."""
    size = reader.size()
    for line in reader.back(size):
        if line.start < reader.position or line.start == line.end:
            return
        if not line.hidden:
            yield line
        elif size - line.start > _MOST_HIDDEN_BYTES:
            return


def readers(
    directories: Iterable[TaskDirectory], streams: Sequence[str] = STREAMS
) -> list[LogReader]:
    """A reader for each of these streams of each task."""
    places = [(directory, stream) for directory in directories for stream in streams]
    share = _ALL_PIECES_BYTES // max(1, len(places))
    piece = max(_LEAST_PIECE_BYTES, min(PIECE_BYTES, share))
    return [LogReader(directory, stream, piece) for directory, stream in places]


def last_lines(directory: TaskDirectory, count: int, streams: Sequence[str] = STREAMS) -> list[str]:
    """The last `count` lines of a task in order, from one or both of its streams."""
    both = readers([directory], streams)
    skip_to_tail(both, count)
    return [line.text for line in merged(both, last=True)]
