"""Regular expressions that users write are searched in linear time, or refused with a reason."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tenfold.base.patterns import MOST_CHARACTERS, PatternError, compiled

CATASTROPHIC = ["(a+)+$", "(a|aa)+$", "(a|a?)+b", "(.*a){25}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_an_expression_that_would_take_for_ever_gives_its_answer(text: str) -> None:
    assert not compiled(text).is_in("a" * 50_000 + "!")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("^ready$", "ready"),
        (r"\Aready\Z", "ready"),
        (r"caf\u00e9", "un café"),
        (r"\U0001F600", "😀"),
        ("^a{,3}$", "aaa"),
        ("[{,3}]b", "3b"),
        (r"(?P<name>\w+) is (?i:UP)", "worker is up"),
        (r"\$\{x\}", "${x}"),
        ("é+$", "ééé"),
    ],
)
def test_common_patterns_mean_the_same_in_both_engines(text: str, line: str) -> None:
    assert compiled(text).is_in(line)


def test_an_upper_bound_alone_is_a_bound() -> None:
    assert not compiled("^a{,3}$").is_in("aaaa")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ready(?= now)", "lookaround"),
        ("(?<!not )ready", "lookaround"),
        (r"(a)\1", "backreference"),
        ("(?P<n>a)(?P=n)", "backreference"),
        ("(a)(?(1)b|c)", "condition"),
        ("(?>a+)b", "atomic group"),
        ("a++b", "possessive repeat"),
        ("(?#why)a", "comment"),
        ("(?x) a", "only i, m and s"),
        (r"\N{BULLET}", "by its name"),
        ("(", "not a regular expression"),
        ("a{2,1}", "not a regular expression"),
        ("(x{1000}){1000}", "too large"),
        (r"\pL{900}", "too large"),
        ("a" * (MOST_CHARACTERS + 1), "too long"),
        ("\ud800", "surrogate"),
    ],
)
def test_an_unsupported_pattern_is_refused_with_a_hint(text: str, words: str) -> None:
    with pytest.raises(PatternError, match=words) as caught:
        compiled(text)
    assert caught.value.hint


def test_a_line_with_half_a_character_is_searched() -> None:
    assert compiled("ready").is_in("\udcff ready")


def test_a_search_that_begins_inside_a_line_is_not_at_its_beginning() -> None:
    assert not compiled("^b").is_in("ab", 1)
    assert compiled("b$").is_in("ab", 1)


def test_spans_are_in_characters_and_never_empty() -> None:
    assert compiled("r+").spans("ärr r") == [(1, 3), (4, 5)]
    assert compiled("x*").spans("ab") == []


def test_the_engine_is_loaded_by_the_first_expression_only() -> None:
    code = "import sys, tenfold.base.patterns, tenfold.cli.app; print('re2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
