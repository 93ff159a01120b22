"""Whether the disk accepts a run's logs.

One report is made when it stops accepting them, and one when it accepts them again.

Many logs find out at the same time, and end while it lasts; people want to hear of one full disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tenfold.run.appending import has_room

_LOOK_S = 0.5


class DiskWatch:
    """A directory in which logs are written. Use it in a running event loop.

    `tell` is called with the place and None when the disk takes nothing more; when it does again,
    with the place and how many bytes were lost.
    """

    def __init__(self, place: Path, tell: Callable[[Path, int | None], None]) -> None:
        self._place = place
        self._tell = tell
        self._waiting = 0
        self._lost = 0
        self._full = False
        self._look: asyncio.TimerHandle | None = None

    def hear(self, lost: int | None) -> None:
        """Take a log's report of its disk (see `logwriter.DiskHandler`)."""
        if lost is not None:
            self._waiting -= 1
            self._lost += lost
            return
        self._waiting += 1
        if not self._full:
            self._full, self._lost = True, 0
            self._tell(self._place, None)
            self._look_soon()

    def _look_soon(self) -> None:
        self._look = asyncio.get_running_loop().call_later(_LOOK_S, self._see)

    def _see(self) -> None:
        if self._waiting == 0 and has_room(self._place):
            self._full, self._look = False, None
            self._tell(self._place, self._lost)
        else:
            self._look_soon()

    def close(self) -> None:
        """Report how much was lost, if the disk was full to the end.

        Nothing is reported after that.
        """
        if self._look is not None:
            self._look.cancel()
        if self._full and self._lost:
            self._tell(self._place, self._lost)
        self._full = False
