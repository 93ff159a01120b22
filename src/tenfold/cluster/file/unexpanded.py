"""Find text in commands and variables that only a shell would expand.

Nothing expands it here.

Owns: telling `$HOME`, `~`, `*.txt`, `{a,b}` and operators inside a word from text that means
itself, and the form that does what was meant. Leaves to others: what is refused altogether
(`words`), and the places of the words (`interpolate`, `check`).

What is quoted means itself. A list of words has no quotes, so less is taken for a shell's there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from tenfold.cluster.command_line import (
    SHELLS,
    hidden_references,
    joined_lines,
    restored,
    shell_form,
    unquoted,
)

_VARIABLE = re.compile(r"(?<![\\$])\$([A-Za-z_][A-Za-z0-9_]*)")
_TILDE = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_.]*=)?(~(?:[a-z_][a-z0-9_-]*)?)(?:/.*)?", re.DOTALL)
_GLOB = re.compile(r"(?!-)[^=]*?(?:\*|\?|\[(?=[^\][]*\])[^\][]*?\w-\w)", re.DOTALL)
_BRACES = re.compile(r"(?<!\$)\{(?=[^{}:\s]*\})(?:[^{}:\s,]*,|[A-Za-z0-9-]+\.\.)")
_GLUED = re.compile(r".+?([|;]|(?<![-=])[<>](?![=>])).*", re.DOTALL)
_OPERATOR = re.compile(r"\|\|?|\|&|&&?|\d?>{1,2}(?:&\d)?|&>|<{1,3}|;")
_SUBSTITUTION = re.compile(r"\$\(|`")
_ENV_VARIABLE = re.compile(r"(?<![\\$])\$([A-Z_][A-Z0-9_]*)")
_WITH_OPERATORS = ("test", "[", "expr", "find", "xargs", "echo", "printf")
_QUOTED = re.compile(r"""\\.|'[^']*'|"((?:\\.|[^"\\])*)\"""", re.DOTALL)
_OWN_DOLLARS = ("awk", "gawk", "mawk", "perl", "php", "jq", "ruby", "envsubst")


class Doubt(NamedTuple):
    """A doubt about the word at position `word`.

    `hint` is how to write what was meant.
    """

    word: int
    message: str
    hint: str


def in_text(text: str, key: str, known: Container[str]) -> Iterator[Doubt]:
    """Find what a shell would expand in a command line that `words.split` takes.

    `known` are the environment variables that `${env.NAME}` can stand for.
    """
    kept: list[str] = []
    hidden = joined_lines(hidden_references(text, kept))
    inner = _of_shell(shlex.split(hidden))
    form = shell_form(" ".join(restored(hidden, kept).split()), key)
    for position, (bare, half) in enumerate(
        zip(unquoted(hidden).split(), _opened(hidden).split(), strict=True)
    ):
        if position in inner:
            continue
        if found := _in_word(bare, half, form, known):
            message, hint = found
            yield Doubt(position, restored(message, kept), hint)


def in_words(words: Sequence[str], key: str, known: Container[str]) -> Iterator[Doubt]:
    """Find what a shell would have expanded in a list of literal arguments."""
    inner = _of_shell(words)
    program = PurePath(words[0]).name if words else ""
    for position, word in enumerate(words):
        if position in inner:
            continue
        hidden = hidden_references(word, [])
        if _OPERATOR.fullmatch(word) and program not in _WITH_OPERATORS:
            yield Doubt(position, _stays(word), shell_form(_joined(words), key))
        elif tilde := _tilde(hidden):
            yield Doubt(position, _stays(tilde[0]), tilde[1])
        elif program not in _OWN_DOLLARS and (found := _VARIABLE.search(hidden)):
            yield Doubt(position, *_variable(found[1], shell_form(_joined(words), key), known))


def in_value(value: str, known: Container[str]) -> tuple[str, str] | None:
    """A message and a hint for a value that a shell would have expanded, or None.

    It is the value of a variable.
    """
    hidden = hidden_references(value, [])
    if tilde := _tilde(hidden):
        return _stays(tilde[0]), tilde[1]
    found = _ENV_VARIABLE.search(hidden)
    if found and found[1] in known:
        return _stays(f"${found[1]}"), f"write ${{env.{found[1]}}}"
    return None


def _in_word(bare: str, half: str, form: str, known: Container[str]) -> tuple[str, str] | None:
    """Doubts in one word.

    `bare` is the word without all that is quoted, `half` without what is in single quotes.
    """
    if found := _VARIABLE.search(half):
        return _variable(found[1], form, known)
    if found := _SUBSTITUTION.search(half):
        return _stays(found[0]), form
    if tilde := _tilde(bare):
        return _stays(tilde[0]), tilde[1]
    if "://" in bare:
        return None
    quoted = f"{form}\nor quote it, if it is literal text"
    if _GLOB.match(bare) or _BRACES.search(bare):
        return _stays(bare), quoted
    if found := _GLUED.fullmatch(bare):
        return _stays(found[1]), quoted
    if bare.startswith("#"):
        return f"{bare} is passed to the command; in a shell it would begin a comment", "quote it"
    return None


def _stays(what: str) -> str:
    return f"{what} is not expanded, because no shell is used"


def _variable(name: str, form: str, known: Container[str]) -> tuple[str, str]:
    message = _stays(f"${name}")
    return (
        message,
        f"write ${{env.{name}}}"
        if name in known
        else f"for the value of the variable, write {form}",
    )


def _tilde(word: str) -> tuple[str, str] | None:
    """A leading `~` of a word or value, and how to write what it means."""
    found = _TILDE.fullmatch(word)
    if found is None:
        return None
    if found[1] == "~":
        return "~", "write ${env.HOME}"
    return found[1], "write the full path"


def _of_shell(words: Sequence[str]) -> set[int]:
    """The positions of the text that a command gives a shell, and what follows.

    For example in `sh -c "…"`.

    What follows are the arguments of that text, which nothing expands either; a shell's script is
    the shell's to read.
    """
    for position, word in enumerate(words[:-1]):
        if PurePath(word).name not in SHELLS:
            continue
        for after in range(position + 1, len(words)):
            if re.fullmatch(r"-[a-z]*c[a-z]*", words[after]):
                return {after + 1}
            if not words[after].startswith(("-", "+")):
                break
    return set()


def _joined(words: Sequence[str]) -> str:
    """The arguments as one line for a shell, with operators and variables intact."""
    return " ".join(
        word if _OPERATOR.fullmatch(word) or _VARIABLE.search(word) else shlex.quote(word)
        for word in words
    )


def _opened(text: str) -> str:
    """A command line without single-quoted and escaped text.

    Its words are still separate.

    What is in double quotes stays: a shell expands `$` there.
    """

    def opened(match: re.Match[str]) -> str:
        if match[1] is None:
            return "_"
        return re.sub(r"\s", "_", re.sub(r"\\.", "_", match[1], flags=re.DOTALL)) or "_"

    return _QUOTED.sub(opened, text)
