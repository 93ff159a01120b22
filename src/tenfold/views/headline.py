"""The first line of `tenfold why`, for other views of a failed run.

It is read once a run.
"""

from __future__ import annotations

from tenfold.run.rundir import RunDirectory
from tenfold.run.states import State
from tenfold.views.status import RunView
from tenfold.views.why import account


class HeadlineReader:
    """The headline of one run, read repeatedly.

    It is computed anew when status.json has changed.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._known: tuple[object, str | None] = (None, None)

    def read(self, status: RunView) -> str | None:
        """The headline of a run that failed, or None."""
        if status.state != State.FAILED or status.age_s is not None:
            return None
        mark = _mark(self._run)
        if mark != self._known[0] or mark is None:
            self._known = (mark, account(self._run).headline)
        return self._known[1]


def headline(run: RunDirectory, status: RunView) -> str | None:
    """The headline, read once."""
    return HeadlineReader(run).read(status)


def _mark(run: RunDirectory) -> object:
    try:
        found = run.status.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
