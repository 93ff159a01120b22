"""Split a command line into arguments.

Owns: splitting the text of `run`, with `${…}` kept whole, and refusing a shell's own syntax, which
nothing here would obey. Leaves to others: filling in `${…}` (after the split, so that a value with
spaces stays one word), text that a shell would expand (`unexpanded`), and starting anything.
"""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

SHELLS = ("sh", "bash", "zsh", "dash", "ksh")

_REFERENCE = re.compile(r"(?<!\$)\$++\{[^{}]*\}")
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_SYNTAX = re.compile(
    r"\|[|&]?|&&?|;;?|\d?>{1,2}.*|<.*|&>.*|.*;"  # operators that stand alone or end a word
    r"|.*(?:&&|\|\|).*|(?!.*://).+&"  # `a&&b`, `python train.py&`
    r"|.*(?:\$\(|`).*",  # a command whose output would be put in
    re.DOTALL,
)
_OPENING = re.compile(r"\(.*|\{|!|\[\[|if|for|while|until|case|select|function", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SPACE_FIRST = re.compile(r"(?:^|\s)\\[ \t]")
_OPTION = re.compile(r"\s*--?[A-Za-z0-9]")
_UNFINISHED = re.compile(r"<<|(?:&&|\|\|?|[({\\]|\b(?:do|then|else))\s*$")

_OF_BASH = re.compile(
    r"(?<![$\w])(?:\[\[|function |select |source )|<<<|[<>]\(|&>|\|&"
    r"|(?<!\$)\{(?=[^{}\s]*\})[^{}\s]*?(?:\.\.|,)"
)
"""Syntax that `bash` supports and `sh` need not."""

_LONGEST_SHOWN = 600
"""The maximum length of a script that a hint repeats."""


class Refusal(NamedTuple):
    """The problem of a command line, and how to write it instead."""

    message: str
    hint: str


class WordsError(ValueError):
    """A command line that cannot be split. `hint` explains how to write it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def split(text: str, key: str = "run") -> tuple[str, ...]:
    r"""The arguments of a command line, with quotes as in a POSIX shell.

    No shell ever sees the command line.

    A `\` at the end of a line joins it with the next one, and so does an option (`--rate 1`) at the
    beginning of a line. `key` is what the file calls the command, for messages.

    Raises WordsError if a quote is not closed, and for what only a shell would understand: `&&`,
    comments, several lines. A command line that has it means a shell, as in `[sh, -c, "…"]`.
    """
    kept: list[str] = []
    bare = joined_lines(hidden_references(text, kept))
    try:
        words = shlex.split(bare)
    except ValueError as error:
        hint = "remove the \\ at its end" if "escaped" in str(error) else "close the quote"
        raise WordsError(f"the command line cannot be split: {error}", hint) from error
    if refusal := _refusal(bare, key, kept):
        raise WordsError(*refusal)
    return tuple(restored(word, kept) for word in words)


def filled(text: str, fill: Callable[[str], str], key: str = "run") -> str:
    """The command line `text` with each argument filled by `fill`.

    An argument is quoted if it has to be.

    Splitting the result gives the filled words: a value with spaces or quotes stays one word.
    """
    return shlex.join(fill(word) for word in split(text, key))


def hidden_references(text: str, kept: list[str]) -> str:
    """`text` with a mark for every `${…}`. Each `${…}` is appended to `kept`."""

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    return _REFERENCE.sub(keep, text)


def restored(word: str, kept: Sequence[str]) -> str:
    """`word` with each mark replaced by its `${…}`."""
    return re.sub("\0([0-9]+)\0", lambda match: kept[int(match[1])], word)


def joined_lines(text: str) -> str:
    r"""`text` with continued lines joined, as a shell does.

    A `\` at the end of a line continues it.
    """

    text = text.replace("\r\n", "\n")

    def joined(match: re.Match[str]) -> str:
        if match[0] == "\\\n":
            return ""
        if match[0].startswith('"'):
            return re.sub(r"\\(\n|.)", lambda m: "" if m[1] == "\n" else m[0], match[0])
        return match[0]

    return _QUOTED.sub(joined, text)


def unquoted(text: str) -> str:
    """`text` with `_` for all that is quoted or escaped.

    Its words are still separate.
    """
    return _QUOTED.sub("_", text)


def shell_form(text: str, key: str = "run") -> str:
    """The line for a cluster file that runs `text` in a suitable shell."""
    shell = "bash" if _OF_BASH.search(unquoted(text)) else "sh"
    if key == "run":
        return f"run: [{shell}, -c, {json.dumps(text.strip(), ensure_ascii=False)}]"
    return f"{key}: {json.dumps(f'{shell} -c {shlex.quote(text.strip())}', ensure_ascii=False)}"


def _refusal(text: str, key: str, kept: Sequence[str]) -> Refusal | None:
    """Why a text whose quotes are closed is not a command line."""
    if _SPACE_FIRST.search(_QUOTED.sub(_escapes_alone, text)):
        message = "a \\ before a space makes the space part of the next word"
        return Refusal(message, f"remove the \\, or write the lines below `{key}: |`")
    bare = unquoted(text)
    if refusal := _of_lines(text, bare, key, kept):
        return refusal
    operator = _shell_operator(bare)
    if operator is None:
        return None
    shown = restored(operator, kept)
    message = f"`{key}` is one command without a shell, but {shown} is shell syntax"
    return Refusal(message, shell_form(restored(text, kept), key))


def _escapes_alone(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith("\\") else "_"


def _of_lines(text: str, bare: str, key: str, kept: Sequence[str]) -> Refusal | None:
    """The problem of several lines, or of a comment."""
    lines = [line for line in bare.split("\n") if line.strip()]
    code = [line for line in lines if not line.lstrip().startswith("#")]
    commands = [line for line in code[1:] if not _OPTION.match(line)]
    if commands:
        message = f"`{key}` is one command without a shell, but has {len(code)} lines"
        return Refusal(message, _hint_for_lines(restored(text, kept), code, key))
    if len(code) < len(lines) or any("#" in line.split() for line in code):
        message = "a comment becomes part of the command, because no shell is used"
        return Refusal(message, f"remove the comment from `{key}`, or quote the #")
    return None


def _hint_for_lines(text: str, code: Sequence[str], key: str) -> str:
    """The two forms that run several lines, and the one that joins them."""
    if len(text) > _LONGEST_SHOWN:
        script = "run: sh -e script.sh" if key == "run" else f'{key}: "sh -e script.sh"'
        return f"write the lines to a file and run it: {script}"
    forms = [shell_form(f"set -e\n{textwrap.dedent(text).strip()}", key)]
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    whole = len(lines) == len(code) and not any(map(_UNFINISHED.search, code))
    if whole and not any(_OPENING.fullmatch(line.split()[0]) for line in code):
        forms.append(f"or {shell_form(' && '.join(lines), key)}")
    return "\n".join([*forms, "or, for a single command, end each line but the last with \\"])


def _shell_operator(text: str) -> str | None:
    """The first unquoted argument that only a shell would understand."""
    words = text.split()
    if words and (_ASSIGNMENT.fullmatch(words[0]) or _OPENING.fullmatch(words[0])):
        return words[0]
    return next((word for word in words if _SYNTAX.fullmatch(word)), None)


_OF_SHELLS = {
    "cd": "set workdir: DIRECTORY, and use the rest as the command",
    "pushd": "set workdir: DIRECTORY, and use the rest as the command",
    "source": "for a virtual environment, name it at the top of the file: python: venv",
    ".": "for a virtual environment, name it at the top of the file: python: venv",
    "export": 'set env: {NAME: "value"}',
    "declare": 'set env: {NAME: "value"}',
    "unset": "start the command with env: run: env -u NAME python train.py",
    "exec": "remove exec: the command already is the process of the task",
    "eval": "run the command in a shell: run: [sh, -c, …]",
    "set": "run the command in a shell: run: [sh, -c, …]",
    "trap": "run the command in a shell: run: [sh, -c, …]",
    "ulimit": "run the command in a shell: run: [sh, -c, …]",
    "umask": "run the command in a shell: run: [sh, -c, …]",
    "alias": "write the command itself",
}


def builtin(words: Sequence[str]) -> Refusal | None:
    """Why a command that is built into shells cannot be started."""
    hint = _OF_SHELLS.get(words[0]) if words else None
    if hint is None:
        return None
    return Refusal(f"{words[0]} is a built-in command of a shell, but no shell is used", hint)
