"""Lines, talk, and one moving line below both.

The lines of the tasks go to stdout, everything tenfold says to stderr; on one terminal they are
kept apart from the moving line, which is wiped before anything is written and drawn again after.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from tenfold.base.streams import take_failure
from tenfold.errors import printable
from tenfold.views.terminal import Terminal

_WIPE = "\r\x1b[2K"


class Screen:
    """Two streams, and the moving line on the second if it may move.

    `goes_on`: the run is watched by nobody else, and nothing is lost when its lines cannot be
    written any more (`up | head`, a full disk): that is said once. Otherwise it is an error.
    """

    def __init__(self, out: Terminal, err: Terminal, *, goes_on: bool = True) -> None:
        self.out = out
        self.err = err
        self._goes_on = goes_on
        self._drawn = ""
        self._deaf = False

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of the tasks."""
        text = "".join(f"{line}\n" for line in lines)
        if not text or self._deaf:
            return
        self.wipe()
        try:
            self.out.write(text)
        except OSError as error:
            if not self._goes_on:
                raise
            self._stop_writing(error)
        if self._goes_on and (failure := take_failure()) is not None:
            self._stop_writing(failure.cause)

    def _stop_writing(self, error: OSError) -> None:
        self._deaf = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.out.stream.fileno())
        why = f"· cannot write lines any more ({error.strerror})"
        self.say(f"{why}; the cluster keeps running, read them with `tenfold logs`", "yellow")

    def say(self, text: str, style: str = "") -> None:
        """A line of tenfold's own."""
        self.wipe()
        with contextlib.suppress(OSError):
            self.err.print(self.err.paint(printable(text), style))

    def draw(self, line: str) -> None:
        """Show `line`, cut to the terminal's width, until the next output."""
        if self.err.moves and line != self._drawn:
            with contextlib.suppress(OSError):
                self.err.stream.write(_WIPE)
                self.err.write(line)
            self._drawn = line

    def wipe(self) -> None:
        """Take the moving line away."""
        if self._drawn:
            with contextlib.suppress(OSError):
                self.err.stream.write(_WIPE)
                self.err.stream.flush()
            self._drawn = ""
