"""Output lines, messages, and a few moving lines below both.

The lines of the tasks go to stdout, everything tenfold says to stderr; on one terminal they are
kept apart from the moving lines, which are wiped before anything is written and drawn again after.
A line that was printed a short time ago can be rewritten where it is.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable, Sequence

from tenfold.base.escapes import plain
from tenfold.base.streams import take_failure
from tenfold.errors import columns, printable
from tenfold.views.terminal import Terminal

_WIPE = "\r\x1b[2K"
_WIPE_ABOVE = "\x1b[1A\x1b[2K"
_MOST_PRINTED = 200


class Screen:
    """Two streams, and the moving lines on the second if it may move.

    `goes_on`: the run is watched by nobody else, and nothing is lost when its lines cannot be
    written any more (`up | head`, a full disk): that is said once. Otherwise it is an error.
    """

    def __init__(self, out: Terminal, err: Terminal, *, goes_on: bool = True) -> None:
        self.out = out
        self.err = err
        self._goes_on = goes_on
        self._drawn: tuple[str, ...] = ()
        self._deaf = False
        self._printed: deque[tuple[object, int]] = deque(maxlen=_MOST_PRINTED)
        """What was printed last: a key, and how many rows of the terminal it takes."""
        self._size = (0, 0)
        """The columns and rows of the terminal when that was printed."""

    @property
    def moves(self) -> bool:
        """Whether lines of tasks may be rewritten: both streams are one terminal."""
        return self.out.moves and self.err.moves

    def lines(self, lines: Iterable[str], keys: Sequence[object] = ()) -> None:
        """Print lines of the tasks. `keys` identify them for `rewrite`."""
        made = list(lines)
        text = "".join(f"{line}\n" for line in made)
        if not text or self._deaf:
            return
        self.wipe()
        if self.moves:
            self._note(made[-_MOST_PRINTED:], keys[-_MOST_PRINTED:])
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
        """Print a message of tenfold's own."""
        self.wipe()
        if self.moves:
            self._note([text], ())
        with contextlib.suppress(OSError):
            self.err.print(self.err.paint(printable(text), style))

    def draw(self, *lines: str) -> None:
        """Show `lines`, each cut to the terminal's width, until the next output."""
        shown = tuple(line for line in lines if line)
        if not self.err.moves or shown == self._drawn:
            return
        with contextlib.suppress(OSError):
            self.err.stream.write(self._wiping() if self._drawn else _WIPE)
            self.err.write("\n".join(shown))
        self._drawn = shown

    def wipe(self) -> None:
        """Remove the moving lines."""
        if self._drawn:
            with contextlib.suppress(OSError):
                self.err.stream.write(self._wiping())
                self.err.stream.flush()
            self._drawn = ()

    def _wiping(self) -> str:
        """What removes the moving lines, also if the terminal has become narrower."""
        rows = sum(_rows(line, self.err.width) for line in self._drawn)
        return _WIPE + _WIPE_ABOVE * (rows - 1)

    # rewriting

    def rewrite(self, key: object, line: str) -> bool:
        """Write `line` over the line of this key, if it is still on the screen.

        Returns whether that was possible: both have to take one row.
        """
        if self._deaf or not self.moves or self._size != self.out.size:
            return False
        up = 0
        for printed, rows in reversed(self._printed):
            up += rows
            if up >= self._size[1] - 1:
                return False
            if printed == key:
                return rows == 1 == _rows(line, self._size[0]) and self._write_over(line, up)
        return False

    def _write_over(self, line: str, up: int) -> bool:
        self.wipe()
        try:
            self.out.stream.write(f"\x1b[{up}A{_WIPE}")
            self.out.write(line)
            self.out.stream.write(f"\r\x1b[{up}B")
            self.out.stream.flush()
        except OSError:
            return False
        return True

    def forget(self) -> None:
        """Rewrite nothing that was printed so far: others have written to the terminal."""
        self._printed.clear()

    def _note(self, lines: Sequence[str], keys: Sequence[object]) -> None:
        if self._size != self.out.size:
            self._printed.clear()
            self._size = self.out.size
        known = [*keys, *[None] * (len(lines) - len(keys))]
        for line, key in zip(lines, known, strict=True):
            self._printed.append((key, _rows(line, self._size[0])))


def _rows(line: str, width: int) -> int:
    """How many rows of a terminal a line takes."""
    text = plain(line)
    tabs = 7 * text.count("\t")  # at most: a line that may be longer is not rewritten
    return max(1, -(-(columns(text) + tabs) // max(1, width)))
