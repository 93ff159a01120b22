"""The output streams for people: colour, motion and width.

`--color`, NO_COLOR, FORCE_COLOR and TERM=dumb are obeyed here and nowhere else. Colour is a matter
of taste and may go into a pipe; motion needs a terminal, whatever anybody asks for.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from tenfold.base.escapes import plain
from tenfold.base.naming import label_of
from tenfold.errors import visible
from tenfold.run.states import State

if TYPE_CHECKING:
    from rich.console import Console

TASK_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_cyan", "bright_yellow",
                "bright_green", "bright_magenta", "bright_blue")  # fmt: skip

STATE_COLOURS: Mapping[str, str] = {
    State.WAITING: "dim",
    State.STARTING: "cyan",
    State.RUNNING: "green",
    State.RESTARTING: "yellow",
    State.STOPPING: "yellow",
    State.SUCCEEDED: "green",
    State.FAILED: "bold red",
    State.LOST: "bold red",
    State.STOPPED: "dim",
}

_WIDEST = 100_000
_ATTRIBUTES = ("bold", "dim", "underline")
_COLOURING = re.compile(r"\x1b\[[\d;:]*m\Z")


class Terminal:
    """An output stream, and its capabilities.

    Attributes:
        colour: whether `paint` paints.
        moves: whether the cursor may be moved: a terminal that is not dumb.
    """

    def __init__(self, stream: TextIO, color: str = "auto") -> None:
        """`color`: `auto`, `always` or `never`.

        `auto` depends on the stream and the environment.
        """
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.moves = self.is_terminal and os.environ.get("TERM") != "dumb"
        self.colour = _takes_colour(color, self.moves)

    @property
    def width(self) -> int:
        """The number of columns.

        Without a terminal it is practically unlimited, so that nothing is cut.
        """
        return shutil.get_terminal_size().columns if self.is_terminal else _WIDEST

    @property
    def size(self) -> tuple[int, int]:
        """The numbers of columns and rows."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def paint(self, text: str, style: str) -> str:
        """`text` in a style such as `bold red`, or unchanged if there is no colour.

        Colours that are in it already are none of ours, and are shown for what they are.
        """
        text = visible(text)
        if not self.colour or not style or not text:
            return text
        words = style.split()
        attributes: dict[str, bool] = {word: True for word in words if word in _ATTRIBUTES}
        colour = next((word for word in words if word not in _ATTRIBUTES), None)
        return click.style(text, fg=colour, **attributes)

    def print(self, text: str = "") -> None:
        """Write a line now."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write `text` now.

        All that goes to the stream passes here, except what moves the cursor.

        Whatever file it was read from, it does nothing but show itself, in colours.
        """
        self.stream.write(visible(text, colours=self.colour))
        self.stream.flush()

    def foreign(self, text: str) -> str:
        """Text of a task: with its colours if there is colour, never with motion."""
        if text.isprintable():
            return text
        text = plain(text, self._is_kept)
        return f"{text}\x1b[0m" if "\x1b" in text else text

    def _is_kept(self, sequence: str) -> bool:
        return self.colour and _COLOURING.match(sequence) is not None


def _takes_colour(color: str, moves: bool) -> bool:
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return moves or os.environ.get("FORCE_COLOR", "0").lower() not in ("", "0", "false")


def console(color: str, *, stderr: bool = False) -> Console:
    """A rich console with the same rules, for output that needs a layout."""
    from rich.console import Console

    terminal = Terminal(sys.stderr if stderr else sys.stdout, color)
    return Console(
        file=cast("TextIO", _Filtered(terminal)),
        color_system="256" if terminal.colour else None,
        force_terminal=terminal.is_terminal or terminal.colour,
        no_color=not terminal.colour,
        width=None if terminal.is_terminal else terminal.width,
        highlight=False,
        soft_wrap=True,
    )


class _Filtered:
    """The stream of a terminal, for rich.

    What is written to it goes through `Terminal.write`.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.write = terminal.write
        self._stream = terminal.stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def task_colour(label: str) -> str:
    """A colour for a task, the same in every view and every run."""
    job, _, index = label_of(label).rpartition("-")
    start = zlib.crc32(job.encode()) + (int(index) if index.isdecimal() else 0)
    return TASK_COLOURS[start % len(TASK_COLOURS)]
