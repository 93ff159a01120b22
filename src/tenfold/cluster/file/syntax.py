"""Explain libyaml's syntax errors to the person who wrote the text.

Owns: the message, the place and the hint of a syntax error. Leaves to others: everything about
text that is YAML (`document`).
"""

from __future__ import annotations

import re

import yaml

from tenfold.errors import Fault, SourcePosition

_WORDS = (
    # (what libyaml says, what we say, hint)
    (
        r"mapping values are not allowed",
        "a second `: ` in one line",
        'quote text that contains ": "',
    ),
    (
        r"cannot start any token",
        "a character that cannot begin a value",
        "indent with spaces, not tabs; quote text that begins with @, ` or %",
    ),
    (
        r"could not find expected ':'",
        "a line that is neither `key: value` nor part of a text",
        "is a `:` missing, or a quote not closed?",
    ),
    (
        r"did not find expected key",
        "this does not line up with the keys around it",
        "indent keys of one mapping equally, and close open brackets and quotes",
    ),
    (
        r"did not find expected '-' indicator",
        "this does not line up with the items of the list around it",
        "indent items of one list equally",
    ),
    (r"unexpected end of stream", "the file ends inside a quoted text", "close the quote"),
    (
        r"did not find expected ',' or '[\]}]'",
        "a list or mapping in brackets that is not closed here",
        "close it with ] or }, or separate its items with commas",
    ),
    (r"maximum nesting depth", "lists and mappings are nested too deep", None),
    (r"expected node content|block sequence entries", "unexpected text", None),
)
_UNQUOTED = re.compile(r"[^\[{]*[\[{].*[^\"'$]\$\{")
"""From a line's first bracket on.

It is matched at the beginning of a line, so that a long line takes no longer.
"""


def syntax_fault(error: yaml.MarkedYAMLError, file: str, lines: list[str]) -> Fault:
    """The fault that stands for `error` in `file`."""
    mark = error.problem_mark or error.context_mark
    place = SourcePosition(file, mark.line + 1, mark.column + 1) if mark else SourcePosition(file)
    place = _inside(place, lines)
    problem = (error.problem or "cannot be read").strip()
    message, hint = next(
        ((ours, hint) for theirs, ours, hint in _WORDS if re.search(theirs, problem)),
        (problem, None),
    )
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    if _UNQUOTED.match(line):
        hint = 'inside […] and {…} write "${…}" in quotes'
    if error.context and error.context_mark:
        message += f" ({error.context.strip()} that begins in line {error.context_mark.line + 1})"
    return Fault(place, "", f"is not YAML: {message}", hint)


def _inside(place: SourcePosition, lines: list[str]) -> SourcePosition:
    """The position, or the end of the last line if it is after that.

    Truncated text ends after its last line.
    """
    last = max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)
    if place.line <= last:
        return place
    return SourcePosition(place.file, last, len(lines[last - 1]) + 1)
