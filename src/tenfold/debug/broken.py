"""The exception that ended a task, from its run directory.

Owns reading what `run.logs.writer` kept of each stream. What is looked for is `tracebacks`'.
"""

from __future__ import annotations

from collections.abc import Callable

from tenfold.run.exceptions import Broken, TracebackFrame
from tenfold.run.logs import STREAMS
from tenfold.run.logs.tracebacks import broken, kept_blocks
from tenfold.run.rundir import TaskDirectory


def ended_by(directory: TaskDirectory) -> Broken | None:
    """The exception that ended the task's last life.

    None if it wrote none, or still runs.

    What is on stderr counts first: runtimes write there, and loggers that tell of what was caught
    often do not.
    """
    for stream in STREAMS[::-1]:
        if (found := broken(kept_blocks(directory.broken(stream)))) is not None:
            return found
    return None


def masked(found: Broken, shown: Callable[[str], str]) -> Broken:
    """The exception with `shown` applied to every text."""

    def applied(text: str | None) -> str | None:
        return None if text is None else shown(text)

    frame = found.frame and TracebackFrame(
        shown(found.frame.file),
        found.frame.line,
        applied(found.frame.function),
        applied(found.frame.source),
    )
    lines = tuple(shown(line) for line in found.message)
    return Broken(shown(found.line), lines, frame, applied(found.root))
