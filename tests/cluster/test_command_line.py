"""Command lines as words."""

from __future__ import annotations

import pytest

from tenfold.cluster.command_line import WordsError, builtin, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python train.py --lr=1e-3", ("python", "train.py", "--lr=1e-3")),
        ("a 'b c' \"d e\"f g\\ h", ("a", "b c", "d ef", "g h")),
        ("a ${env.X:-b c} '${d}'", ("a", "${env.X:-b c}", "${d}")),
        ("a $${b c}", ("a", "$${b c}")),
        ("a '|' \\; \"&&\" --x=';'", ("a", "|", ";", "&&", "--x=;")),
        ("", ()),
    ],
)
def test_a_command_is_split_like_in_a_shell(text: str, words: tuple[str, ...]) -> None:
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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a \\\n  --b 1 \\\n  c\n", ("a", "--b", "1", "c")),
        ("a \\\r\n  c", ("a", "c")),
        ("a \\\n", ("a",)),
        ("\n  a b  \n\n", ("a", "b")),
        ("a\n  --b 1\n  -c 2\n", ("a", "--b", "1", "-c", "2")),
        ('a "b \\\nc"', ("a", "b c")),
        ("a 'b \\\nc'", ("a", "b \\\nc")),
        (
            'python -c "\nimport os  # x\nprint(1)\n"\n',
            ("python", "-c", "\nimport os  # x\nprint(1)\n"),
        ),
        ("a '#' \"# b\" \\# c#d", ("a", "#", "# b", "#", "c#d")),
        ("a http://x/?a=1&b=2", ("a", "http://x/?a=1&b=2")),
    ],
)
def test_continued_lines_are_one_command(text: str, words: tuple[str, ...]) -> None:
    assert split(text) == words


def test_several_commands_are_refused_with_the_forms_that_work() -> None:
    with pytest.raises(WordsError, match="has 2 lines") as caught:
        split("python a.py\n\npython b.py\n")
    assert caught.value.hint.splitlines() == [
        'run: [sh, -c, "set -e\\npython a.py\\n\\npython b.py"]',
        'or run: [sh, -c, "python a.py && python b.py"]',
        "or, for a single command, end each line but the last with \\",
    ]


@pytest.mark.parametrize(
    "text", ["if true\nthen\n a\nfi", "cat <<EOF\na\nEOF", "a '\n'\nb", "# a\nb\nc", "a &&\nb"]
)
def test_no_and_form_is_shown_where_it_would_not_work(text: str) -> None:
    with pytest.raises(WordsError) as caught:
        split(text)
    assert caught.value.hint.startswith('run: [sh, -c, "set -e\\n')
    assert " && " not in caught.value.hint.replace("a &&", "")


def test_a_long_script_is_not_repeated() -> None:
    with pytest.raises(WordsError) as caught:
        split("echo a\n" * 1000)
    assert caught.value.hint == "write the lines to a file and run it: run: sh -e script.sh"


@pytest.mark.parametrize("text", ["# a\nb", "b\n# a", "b # a", "b #"])
def test_comments_are_refused(text: str) -> None:
    with pytest.raises(WordsError, match="a comment becomes part"):
        split(text)


@pytest.mark.parametrize("text", ["python a.py \\ --b 1", "a \\ \nb", "a \\\t--b"])
def test_a_backslash_that_joins_no_lines_is_refused(text: str) -> None:
    with pytest.raises(WordsError, match="before a space") as caught:
        split(text)
    assert "run: |" in caught.value.hint


def test_a_backslash_at_the_very_end() -> None:
    with pytest.raises(WordsError) as caught:
        split("a \\")
    assert caught.value.hint == "remove the \\ at its end"


@pytest.mark.parametrize(
    "text",
    [
        "a&&b",
        "a||b",
        "a&",
        "a $(b)",
        "a `b`",
        "(cd x; a)",
        "for i in x; do a; done",
        "! a",
        "[[ a ]]",
    ],
)
def test_other_syntax_of_shells_is_refused(text: str) -> None:
    with pytest.raises(WordsError, match="is shell syntax") as caught:
        split(text)
    assert caught.value.hint == f'run: [{"bash" if "[[" in text else "sh"}, -c, "{text}"]'


def test_a_readiness_command_is_called_by_its_own_key() -> None:
    with pytest.raises(WordsError, match="`command` is one command") as caught:
        split("a | b 'c'", "command")
    assert caught.value.hint == """command: "sh -c 'a | b '\\"'\\"'c'\\"'\\"''\""""


@pytest.mark.parametrize("name", ["cd", "source", ".", "export", "exec", "ulimit"])
def test_commands_that_only_a_shell_has(name: str) -> None:
    refusal = builtin([name, "x"])
    assert refusal is not None
    assert refusal.message == f"{name} is a built-in command of a shell, but no shell is used"
    assert builtin(["./cd"]) is None
