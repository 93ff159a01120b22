"""A command line as its words.

Owns: splitting the text of `run`, with `${…}` kept whole, and telling a shell's own syntax, which
nothing here would obey. Leaves to others: filling in `${…}` (after the split, so that a value with
spaces stays one word) and starting anything.
"""

from __future__ import annotations

import json
import re
import shlex

_REFERENCE = re.compile(r"(?<!\$)\$++\{[^{}]*\}")
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SYNTAX = re.compile(r"\|[|&]?|&&?|;;?|\d?>{1,2}.*|<.*|&>.*|.*;")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


class WordsError(ValueError):
    """A command line that cannot be split; `hint` tells how to write it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def split(text: str) -> tuple[str, ...]:
    """The words of a command line, quotes as in a POSIX shell. No shell ever sees it.

    Raises WordsError if a quote is not closed, and if a word is a shell's operator: a command line
    with `&&` in it means a shell, which `[sh, -c, "…"]` says.
    """
    kept: list[str] = []
    bare = _REFERENCE.sub(lambda match: _keep(match[0], kept), text)
    if operator := _shell_operator(bare):
        raise WordsError(
            f"`run` is one command, without a shell: {_restore(operator, kept)} is a shell's",
            f"run: [sh, -c, {json.dumps(text.strip(), ensure_ascii=False)}]",
        )
    try:
        words = shlex.split(bare)
    except ValueError as error:
        raise WordsError(f"the command line cannot be split: {error}", "close the quote") from error
    return tuple(_restore(word, kept) for word in words)


def _keep(reference: str, kept: list[str]) -> str:
    kept.append(reference)
    return f"\0{len(kept) - 1}\0"


def _restore(word: str, kept: list[str]) -> str:
    return re.sub("\0([0-9]+)\0", lambda match: kept[int(match[1])], word)


def _shell_operator(text: str) -> str | None:
    """The first unquoted word that only a shell would understand."""
    words = _QUOTED.sub("_", text).split()
    if words and _ASSIGNMENT.fullmatch(words[0]):
        return words[0]
    return next((word for word in words if _SYNTAX.fullmatch(word)), None)


def shell_variable(text: str) -> str | None:
    """A `$NAME` in `text`, which nothing would expand; None if there is none."""
    match = re.search(r"(?<![\\$])\$([A-Za-z_][A-Za-z0-9_]*)", text)
    return match[1] if match else None
