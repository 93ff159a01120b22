"""Regular expressions that users write: searched in time linear in the text.

Owns: the engine (RE2), its limits, and the messages for what it does not support. Every expression
that comes from a file, a request or the command line is compiled here, never with `re`, which can
take for ever over one line (docs/decisions/0014).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from tenfold.errors import UnavailableError

MOST_CHARACTERS = 10_000
"""Of an expression."""

_MOST_INSTRUCTIONS = 20_000
_MOST_WORK = 40_000_000
"""The maximum cost of one line, in instructions times characters.

It takes a tenth of a second, or a few.
"""

_LEAST_SEARCHED = 2000
_MEMORY_BYTES = 8 << 20

_TOKEN = re.compile(
    r"\\u(?P<short>[0-9a-fA-F]{4})|\\U(?P<long>[0-9a-fA-F]{8})|(?P<end>\\Z)|\\.|(?P<open>\[\^?\]?)"
    r"|(?P<close>\])|(?P<most>\{,(?P<limit>[0-9]+)\})|.",
    re.DOTALL,
)

_UNSUPPORTED = (
    (r"\(\?(?:=|!|<=|<!)", "lookaround, (?=…) (?!…) (?<=…) (?<!…), is not supported"),
    (r"\\[1-9]|\(\?P=", "a backreference, such as \\1 or (?P=name), is not supported"),
    (r"\(\?\(", "a condition, (?(1)…|…), is not supported"),
    (r"\(\?>|[*+?}]\+", "an atomic group, (?>…), or possessive repeat, a++, is not supported"),
    (r"\(\?#", "a comment, (?#…), is not supported"),
    (r"\(\?[a-zA-Z]*[auxL]", "of the flags in (?…), only i, m and s are supported"),
    (r"\\N", "a character by its name, \\N{…}, is not supported"),
)
"""What `re` has and RE2 has not; RE2's own message names only the characters."""


class PatternError(ValueError):
    """An expression that cannot be used.

    The text says why, and `hint` what to write instead.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Pattern:
    """A compiled expression. Threads may share one."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._most = max(_LEAST_SEARCHED, _MOST_WORK // max(1, compiled.programsize))

    def is_in(self, line: str, start: int = 0) -> bool:
        """Whether `line` has a match from character `start` on.

        Of a very long line only the beginning is searched.
        """
        return self._compiled.search(_searchable(line[: self._most]), start) is not None

    def spans(self, line: str, most: int = 100) -> list[tuple[int, int]]:
        """Where the first `most` matches that are not empty begin and end, in characters."""
        found: list[tuple[int, int]] = []
        for match in self._compiled.finditer(_searchable(line[: self._most])):
            if match.end() > match.start():
                found.append(match.span())
            if len(found) >= most:
                break
        return found


@lru_cache(maxsize=64)
def compiled(text: str) -> Pattern:
    """The expression `text`, compiled.

    The syntax is that of Python's `re` without what cannot be searched in linear time; `\\d`,
    `\\w`, `\\s` and `\\b` know ASCII only. Raises PatternError for one that is broken, unsupported
    or too large, and UnavailableError where google-re2 is not installed.
    """
    if len(text) > MOST_CHARACTERS:
        message = f"the regular expression is too long: {len(text):,} characters"
        raise PatternError(message, f"at most {MOST_CHARACTERS:,} are allowed")
    re2 = _engine()
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        made = re2.compile(_translated(text), options)
    except re2.error as error:
        raise _fault(text, error) from error
    except UnicodeEncodeError as error:
        message = "not a regular expression: it contains half of a surrogate pair"
        raise PatternError(message, r"write the character itself, or \x{1F600}") from error
    if made.programsize > _MOST_INSTRUCTIONS:
        raise _too_large()
    return Pattern(made)


def _engine() -> Any:
    try:
        import re2
    except ImportError as error:
        raise UnavailableError(
            "google-re2, which searches regular expressions, is not installed",
            hint="pip install google-re2",
            cause=error,
        ) from error
    return re2


def _searchable(line: str) -> str:
    return line.encode("utf-8", "replace").decode() if not line.isprintable() else line


def _translated(text: str) -> str:
    """`text` with what RE2 writes differently: `\\Z`, `\\uXXXX` and `{,n}`."""
    made: list[str] = []
    inside = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if code := token["short"] or token["long"]:
            word = f"\\x{{{code}}}"
        elif token["end"] and not inside:
            word = r"\z"
        elif token["most"] and not inside:
            word = f"{{0,{token['limit']}}}"
        inside = (inside or token["open"] is not None) and token["close"] is None
        made.append(word)
    return "".join(made)


def _fault(text: str, error: Exception) -> PatternError:
    reason = error.args[0] if error.args else ""
    words = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    if "too large" in words or ("repetition size" in words and not _is_backwards(words)):
        return _too_large()
    if "invalid perl operator" in words or "escape" in words or "repetition operator" in words:
        for pattern, message in _UNSUPPORTED:
            if re.search(pattern, text):
                hint = "use the syntax of RE2: https://github.com/google/re2/wiki/Syntax"
                return PatternError(f"in regular expressions, {message}", hint)
    message = f"not a regular expression: {words}"
    return PatternError(message, r"put \ before a literal character")


def _is_backwards(words: str) -> bool:
    """Whether a repeat's least is above its most, as in `{2,1}`."""
    found = re.search(r"\{([0-9]{1,9}),([0-9]{1,9})\}", words)
    return found is not None and int(found[1]) > int(found[2])


def _too_large() -> PatternError:
    message = "the regular expression is too large"
    return PatternError(message, "use at most 1000 repetitions in total, or * or +")
