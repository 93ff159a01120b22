"""Bars on a terminal: the newest text below all lines, and lines rewritten where they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest

from tenfold.run.logs import LogLine, LogReader
from tenfold.run.logs.writer import LogWriter
from tenfold.run.rundir import TaskDirectory
from tenfold.views.lines import Style
from tenfold.views.livetext import LiveText, fitted
from tenfold.views.screen import Screen
from tenfold.views.terminal import Terminal
from tests.views.test_terminal import ESCAPES

Draw = Callable[[int, bytes], LogReader]


class _Tty(StringIO):
    def isatty(self) -> bool:
        return True


class Emulator:
    """A terminal as wide and high as it is said to be, with what tenfold uses of its moves."""

    def __init__(self, width: int, height: int) -> None:
        self.rows = [""]
        self.row = 0
        self.column = 0
        self.width, self.height = width, height

    def feed(self, text: str) -> None:
        for sequence, count, name, character in re.findall(
            r"(\x1b\[(\d*)([A-Za-z]))|([\s\S])", text.replace("\x1b[0m", "")
        ):
            if sequence:
                self._move(int(count or 1), name)
            elif character == "\n":
                self._down()
            elif character == "\r":
                self.column = 0
            else:
                self._put(character)

    def _move(self, count: int, name: str) -> None:
        top = max(0, len(self.rows) - self.height)
        if name == "A":
            self.row = max(top, self.row - count)
        elif name == "B":
            self.row = min(len(self.rows) - 1, self.row + count)
        elif name == "K":
            self.rows[self.row] = ""
        else:
            assert name == "m", name

    def _down(self) -> None:
        self.row, self.column = self.row + 1, 0
        if self.row == len(self.rows):
            self.rows.append("")

    def _put(self, character: str) -> None:
        if self.column == self.width:
            self._down()
        row = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = row[: self.column] + character + row[self.column + 1 :]
        self.column += 1


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen on one terminal of 40 columns and 10 rows."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    shared = _Tty()
    return Screen(Terminal(shared, "never"), Terminal(shared, "never"))


def seen(screen: Screen) -> list[str]:
    stream = screen.out.stream
    assert isinstance(stream, StringIO)
    emulator = Emulator(*screen.out.size)
    emulator.feed(stream.getvalue())
    return [row.rstrip() for row in emulator.rows]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """A reader of a task that has written this."""

    def make(number: int, data: bytes) -> LogReader:
        directory = TaskDirectory(tmp_path / "tasks" / f"worker-{number}")
        directory.path.mkdir(parents=True)
        LogWriter(directory, "stderr", 1 << 30).write(data)
        reader = LogReader(directory, "stderr")
        reader.read()
        return reader

    return make


def rows(screen: Screen, readers: list[LogReader], *, fold: bool = True) -> list[str]:
    return LiveText(screen, Style(width=8), fold=fold).rows(readers)


def test_the_newest_text_of_a_bar_is_below_the_lines(terminal: Screen, draw: Draw) -> None:
    reader = draw(0, b"\r 10%|#   | 1/10\r 20%|##  | 2/10")
    terminal.lines(["one", "two"])
    terminal.draw(*rows(terminal, [reader]), "progress")
    assert seen(terminal) == ["one", "two", "worker-0 | 20%|##  | 2/10", "progress"]
    terminal.lines(["three"])
    terminal.draw("progress")
    assert seen(terminal) == ["one", "two", "three", "progress"]


def test_bars_of_many_tasks_share_a_row(terminal: Screen, draw: Draw) -> None:
    readers = [draw(n, b"\rEpoch 1:  %d%%|#   | %d/10" % (10 * n, n)) for n in range(8)]
    assert rows(terminal, readers) == ["worker-0 | Epoch 1:  0%|#   | 0/10  ×8"]
    single = rows(terminal, readers, fold=False)
    assert len(single) == 4, "a third of the terminal, and how many there are beside"
    assert single[-1] == "… and 5 more tasks"


def test_no_row_is_wider_than_the_terminal(terminal: Screen, draw: Draw) -> None:
    readers = [
        draw(0, b"x" * 500_000),
        draw(1, ("\r" + "漢字" * 10).encode()),
    ]
    terminal.draw(*rows(terminal, readers))
    assert len(seen(terminal)) == 2
    assert fitted("abcdefghijklmnop", 10) == "abcdef…nop"
    assert fitted("short", 10) == "short"


def test_nothing_is_drawn_where_nothing_moves(tmp_path: Path, draw: Draw) -> None:
    out = Terminal(StringIO())
    assert rows(Screen(out, out), [draw(0, b"\r 20%")]) == []
    assert tmp_path.exists()


@pytest.mark.parametrize("text", ESCAPES, ids=map(ascii, ESCAPES))
def test_a_bar_cannot_control_the_terminal(terminal: Screen, draw: Draw, text: str) -> None:
    reader = draw(0, f"\ra{text}b".encode(errors="surrogatepass"))
    for row in rows(terminal, [reader]):
        assert not set(row) & set("\x1b\r\b\x07\x7f\x00\x85\x9b\x9d\x9c\u202e\u2066\u2028")


def _line(number: int) -> LogLine:
    return LogLine(0.0, "worker-0", "stdout", f"line {number}", number, number + 1)


def test_a_line_is_rewritten_where_it_is(terminal: Screen) -> None:
    terminal.lines(["first", "x" * 100], [_line(1), _line(2)])
    terminal.say("a message")
    terminal.draw("bar", "bar")
    assert terminal.rewrite(_line(1), "first  ×8")
    terminal.draw("bar")
    assert seen(terminal) == ["first  ×8", "x" * 40, "x" * 40, "x" * 20, "a message", "bar", ""]


def test_a_line_that_has_left_the_screen_is_not_rewritten(terminal: Screen) -> None:
    terminal.lines(["first"], [_line(1)])
    terminal.lines([str(n) for n in range(9)])
    before = seen(terminal)
    assert not terminal.rewrite(_line(1), "first  ×8")
    assert not terminal.rewrite(_line(7), "never printed")
    assert seen(terminal) == before


def test_a_line_is_not_rewritten_by_a_longer_one_or_on_another_size(
    terminal: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.lines(["first"], [_line(1)])
    assert not terminal.rewrite(_line(1), "x" * 41)
    monkeypatch.setenv("COLUMNS", "30")
    assert not terminal.rewrite(_line(1), "first  ×8")


def test_wiping_removes_rows_that_a_narrower_terminal_has_wrapped(
    terminal: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.draw("x" * 39, "y")
    monkeypatch.setenv("COLUMNS", "20")
    terminal.wipe()
    stream = terminal.err.stream
    assert isinstance(stream, StringIO)
    assert stream.getvalue().endswith("\r\x1b[2K" + "\x1b[1A\x1b[2K" * 2)
