"""Colour, motion and layout: who decides, and that nothing of a task moves our cursor."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.text import Text

from tenfold.base.json_text import json_text
from tenfold.run.jsonfiles import write_json
from tenfold.run.logs import LogLine
from tenfold.run.progress import Progress
from tenfold.views import progress
from tenfold.views.lines import FOLD_S, Folder, Style, render
from tenfold.views.screen import Screen
from tenfold.views.table import Cell, show_table
from tenfold.views.terminal import Terminal, console, task_colour


class _Tty(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize(
    ("stream", "color", "env", "coloured", "moves"),
    [
        (_Tty, "auto", {}, True, True),
        (_Tty, "auto", {"NO_COLOR": "1"}, False, True),
        (_Tty, "auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, True),
        (_Tty, "auto", {"NO_COLOR": ""}, True, True),
        (_Tty, "auto", {"TERM": "dumb"}, False, False),
        (_Tty, "always", {"TERM": "dumb", "NO_COLOR": "1"}, True, False),
        (_Tty, "never", {"FORCE_COLOR": "1"}, False, True),
        (StringIO, "auto", {}, False, False),
        (StringIO, "auto", {"FORCE_COLOR": "1"}, True, False),
        (StringIO, "auto", {"FORCE_COLOR": "0"}, False, False),
        (StringIO, "always", {"NO_COLOR": "1"}, True, False),
    ],
)
def test_environment_and_option_decide_about_colour(
    monkeypatch: pytest.MonkeyPatch,
    stream: type[StringIO],
    color: str,
    env: dict[str, str],
    coloured: bool,
    moves: bool,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal(stream(), color)
    assert (terminal.colour, terminal.moves) == (coloured, moves)
    assert terminal.paint("x", "bold red") == ("\x1b[31m\x1b[1mx\x1b[0m" if coloured else "x")
    monkeypatch.setattr("sys.stdout", stream())
    rich = console(color)
    rich.print("[red]x[/red]")
    assert ("\x1b[" in rich.file.getvalue()) == coloured  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "coloured", "plain"),
    [
        ("a\x1b[31mb", "a\x1b[31mb\x1b[0m", "ab"),
        ("a\x1b[2J\x1b[10;10Hb", "ab", "ab"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc", "abc"),
        ("a\x1b(Bb\x1bc", "ab", "ab"),
        ("a\tb\x00\x07\x08\x9b31m", "a\tb31m", "a\tb31m"),
        ("für 日本", "für 日本", "für 日本"),
    ],
)
def test_output_of_tasks_keeps_colours_but_moves_no_cursor(
    text: str, coloured: str, plain: str
) -> None:
    assert Terminal(StringIO(), "always").foreign(text) == coloured
    assert Terminal(StringIO(), "never").foreign(text) == plain


def test_table_pads_by_what_is_seen_and_cuts_only_on_a_terminal() -> None:
    rows: list[list[Cell]] = [["日本", ("x" * 100, "red")], ["a", "b"]]
    out = Terminal(StringIO())
    show_table(out, ("N", "WHY"), rows)
    assert _text(out).splitlines() == ["N     WHY", "日本  " + "x" * 100, "a     b"]
    tty = Terminal(_Tty(), "never")
    show_table(tty, ("N", "WHY"), rows)
    assert max(len(line) for line in _text(tty).splitlines()) == 78
    show_table(out, ("N", "WHY"), [])


def _text(terminal: Terminal) -> str:
    assert isinstance(terminal.stream, StringIO)
    return terminal.stream.getvalue()


def test_lines_as_docker_compose_shows_them() -> None:
    out, line = Terminal(StringIO()), LogLine(0.0, "worker-3", "stdout", "text")
    assert render(out, line, Style(width=10)) == "worker-3   | text"
    assert render(out, line, Style(prefix=False)) == "text"
    assert render(out, line, Style(width=8, timestamps=True)).startswith("worker-3 | 19")
    assert task_colour("worker/3") == task_colour("worker-3") != task_colour("worker-4")
    assert task_colour("odd") in task_colour("odd-x")


def _lines(text: str, count: int) -> list[LogLine]:
    return [LogLine(0.0, f"worker-{n}", "stdout", text.replace("N", str(n))) for n in range(count)]


def test_same_line_of_many_tasks_is_folded_with_its_number() -> None:
    folder = Folder()
    assert [line.text for line in folder.feed(_lines("ready", 8), 0.0)] == ["ready"]
    summary = [line.text for line in folder.feed([], FOLD_S)]
    assert summary == ["ready  ×8 (worker-1, worker-2, 5 more too)"]
    assert list(folder.flush()) == []


def test_a_folded_line_is_rewritten_and_not_repeated() -> None:
    folder, written = Folder(), []

    def rewritten(line: LogLine, more: str) -> bool:
        written.append(f"{line.text}  {more}")
        return True

    list(folder.feed(_lines("ready", 2), 0.0))
    folder.rewrite(rewritten)
    folder.rewrite(rewritten)
    list(folder.feed(_lines("ready", 4)[2:], 0.1))
    folder.rewrite(rewritten)
    assert written == ["ready  ×2 (worker-1 too)", "ready  ×4 (worker-1, worker-2, worker-3 too)"]
    assert list(folder.flush()) == []
    list(folder.feed(_lines("go", 2), 0.0))
    folder.rewrite(lambda *_: False)
    assert [line.text for line in folder.flush()] == ["go  ×2 (worker-1 too)"]


def test_only_times_and_addresses_may_differ() -> None:
    differ = (
        "2026-11-23 17:20:0N.5: I0000 00:00:1732380000.12345N    1N f.cc:7]"
        " 0x7f0N E1123 17:20:0N.1 12N x"
    )
    assert len(list(Folder().feed(_lines(differ, 5), 0.0))) == 1
    assert len(list(Folder().feed(_lines("loss 2.N", 5), 0.0))) == 5
    assert len(list(Folder().feed(_lines(" ", 5), 0.0))) == 5


def test_a_task_that_repeats_itself_is_not_folded() -> None:
    line = LogLine(0.0, "a-0", "stdout", "again")
    assert len(list(Folder().feed([line, line, line], 0.0))) == 3


def test_moving_line_is_wiped_before_anything_is_written() -> None:
    shared = _Tty()
    screen = Screen(Terminal(shared), Terminal(shared))
    screen.draw("bar")
    screen.draw("bar")
    screen.lines(["a", "b"])
    screen.say("talk")
    screen.draw("bar")
    screen.wipe()
    wipe = "\r\x1b[2K"
    assert shared.getvalue() == f"{wipe}bar{wipe}a\nb\ntalk\n{wipe}bar{wipe}"
    plain = Screen(Terminal(StringIO()), Terminal(StringIO()))
    plain.draw("bar")
    assert _text(plain.err) == ""


def _said(**more: object) -> Progress:
    import time

    said = {"done": 45, "total": 100, "time": time.time(), "unit": "words"}
    return Progress.from_json(said | more)


def test_progress_in_words() -> None:
    figures = {"epoch": "1/3", "loss": 2.3149, "seen": 1234567, "odd": "\x1b[2J"}
    words = progress.words(_said(rate=0.5, figures=figures))
    assert words == (
        "45 %  epoch 1/3  0.5 words/s  loss 2.31  seen 1,234,567  odd ␛[2J  1 min 50 s left"
    )
    assert progress.words(_said()) == "45 %"
    assert progress.words(_said(total=0)) == "100 %"
    assert progress.words(_said(total=None, unit="it", rate=2.0)) == "45 it  2 it/s"
    assert progress.words(_said(time=0.0, rate=1.0)).startswith("45 %  1 words/s  no report for ")
    bar = progress.bar(Terminal(_Tty(), "never"), _said(figures={"long": "x" * 200}))
    assert len(bar) < 80


@pytest.mark.parametrize("said", [{}, {"done": 1}, {"done": "1", "total": 2, "time": 3}])
def test_damaged_progress_is_not_shown(said: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "tasks" / "a-0" / "progress.json"
    path.parent.mkdir(parents=True)
    write_json(path, said)
    read = Progress.read(path)
    assert read is not None
    assert read.share is None


ESCAPES = (
    "\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x07", "\x1b]8;;http://x\x1b\\", "\x1bPq\x1b\\",
    "\x1bc", "\x9b2J", "\x9d0;t\x9c", "\x85", "\r", "\b", "\x07", "\x7f", "\x00", "\u202e",
    "\u2066", "\u2028", "\ud800", "\U000e0041", "\x1b[8m",
)  # fmt: skip
"""What would do something to a terminal, or hide or reorder what stands there."""


@pytest.mark.parametrize("text", ESCAPES, ids=map(ascii, ESCAPES))
@pytest.mark.parametrize("color", ["always", "never"])
def test_nothing_but_text_and_colours_leaves_for_the_terminal(text: str, color: str) -> None:
    out = Terminal(StringIO(), color)
    out.print(f"a{text}b")
    out.print(out.paint(f"a{text}b", "bold"))
    show_table(out, ("N", "M"), [[f"a{text}b", (f"a{text}b", "red")]])
    Screen(out, out).lines([f"a{text}b"])
    Screen(out, out).say(f"a{text}b")
    shown = re.sub("\x1b\\[[0-9;]*m", "", _text(out))
    assert not set(shown) & set("\x1b\r\b\x07\x7f\x00\x85\x9b\x9d\x9c\u202e\u2066\u2028\ud800")
    assert "\U000e0041" not in shown
    if color == "never":
        assert "\x1b" not in _text(out)
    assert "a" in shown
    assert "b" in shown


def test_foreign_colours_in_painted_text_are_escaped() -> None:
    out = Terminal(StringIO(), "always")
    out.print(out.paint("a\x1b[31mb", "bold"))
    assert _text(out) == "\x1b[1ma␛[31mb\x1b[0m\n"


@pytest.mark.parametrize("text", ESCAPES, ids=map(ascii, ESCAPES))
def test_output_of_rich_has_no_control_characters(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    console("never").print(Text(f"a{text}b"))
    unseen = {character for character in text if not character.isprintable()}
    assert not set(stream.getvalue()) & unseen


@pytest.mark.parametrize("text", ESCAPES, ids=map(ascii, ESCAPES))
def test_json_keeps_text_and_escapes_control_characters(text: str) -> None:
    said = json_text({"a": f"a{text}ü"})
    assert json.loads(said) == {"a": f"a{text}ü"}
    assert "ü" in said
    assert not set(said) & set(
        "\x1b\r\b\x07\x7f\x00\x85\x9b\x9d\x9c\u202e\u2066\u2028\ud800\U000e0041"
    )
