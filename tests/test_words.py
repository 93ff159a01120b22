"""Command lines as words."""

from __future__ import annotations

import pytest

from tenfold.words import WordsError, shell_variable, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python train.py --lr=1e-3", ("python", "train.py", "--lr=1e-3")),
        ("a 'b c' \"d e\"f g\\ h", ("a", "b c", "d ef", "g h")),
        ("a ${env.X:-b c} '${d}'", ("a", "${env.X:-b c}", "${d}")),
        ("a $${b c}", ("a", "$${b c}")),
        ("a '|' \\; \"&&\" --x=';'", ("a", "|", ";", "&&", "--x=;")),
        ("a\n  b\n", ("a", "b")),
        ("", ()),
        ("a # b", ("a", "#", "b")),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    "text", ["a && b", "a | b", "a; b", "a > b", "a 2>&1", "a &", "A=1 b", "a <b"]
)
def test_a_shell_is_asked_for_by_name(text: str) -> None:
    with pytest.raises(WordsError) as caught:
        split(text)
    assert caught.value.hint == f'run: [sh, -c, "{text}"]'


def test_an_open_quote() -> None:
    with pytest.raises(WordsError, match="No closing quotation"):
        split("a 'b")


def test_shell_variables() -> None:
    assert shell_variable("--x=$HOME/y") == "HOME"
    assert shell_variable("$5 ${env.HOME} \\$HOME") is None
