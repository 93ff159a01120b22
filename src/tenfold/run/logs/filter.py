"""Select log lines by a text, a regular expression or their severity.

Leaves to others: searching a user's expression in linear time (`patterns`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tenfold.base.patterns import Pattern, PatternError, compiled
from tenfold.errors import InputError

_LONGEST_SEARCHED = 4000

_GRAVE = re.compile(
    r"\b(?:error|errors|fatal|critical|panic|exception|failed|failure|aborted|killed|segfault|"
    r"segmentation fault|core dumped|out of memory|nan)\b|[a-z](?:Error|Exception)\b|Traceback|"
    r"^[EF]\d{4} |^\s+File \".*\", line \d+",
    re.I,
)
_WARNED = re.compile(r"\bwarn(?:ing|ings)?\b|\bdeprecated\b|[a-z]Warning\b|^W\d{4} ", re.I)

LEVELS = ("", "error", "warning")


def line_filter(
    text: str = "", *, regex: bool = False, level: str = ""
) -> Callable[[str], bool] | None:
    """A function that selects lines. None if every line is selected.

    Args:
        text: what it has to hold, in capitals or not; with `regex` an expression that has to be
            found in its first 4,000 characters, as it is written.
        level: `error` for lines that look like errors, `warning` for those and warnings.

    Raises InputError for an expression that is none.
    """
    tests = [test for test in (_text_test(text, regex), _level_test(level)) if test]
    if len(tests) == 2:
        return lambda line: tests[0](line) and tests[1](line)
    return tests[0] if tests else None


def _text_test(text: str, regex: bool) -> Callable[[str], bool] | None:
    if not text:
        return None
    if not regex:
        wanted = text.casefold()
        return lambda line: wanted in line.casefold()
    pattern = expression(text)
    return lambda line: pattern.is_in(line[:_LONGEST_SEARCHED])


def expression(text: str) -> Pattern:
    """A user's regular expression. Raises InputError if it is invalid."""
    try:
        return compiled(text)
    except PatternError as error:
        raise InputError(str(error), hint=error.hint, cause=error) from error


def _level_test(level: str) -> Callable[[str], bool] | None:
    if level == "error":
        return lambda line: _GRAVE.search(line[:_LONGEST_SEARCHED]) is not None
    if level == "warning":
        return lambda line: any(p.search(line[:_LONGEST_SEARCHED]) for p in (_GRAVE, _WARNED))
    return None
