"""Which values are secrets, and how output hides them.

Owns: the rule by name, the replacement text, and the secrets that this process knows, which no
error and no warning shows. Leaves to others: finding the values (`load`, `plan`).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

HIDDEN = "***"
"""The text that replaces a secret."""

SHORTEST_MASKED = 6
"""The minimum length of a value that is masked inside longer text.

Shorter values are hidden only where they are the whole value of a variable: replacing every `1` of
a command line would hide nothing and spoil everything.
"""

_SECRET_NAME = re.compile(
    r"(?:.*_|)(?:TOKEN|KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIALS?)", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret.

    For example `WANDB_API_KEY`, `hub_token` or `PASSWORD`.
    """
    return _SECRET_NAME.fullmatch(name) is not None


_SECRET_IN_LINE = re.compile(
    r"""(?P<key>(?:token|key|password|passwd|passphrase|secret|credentials?)["']?\s*[:=]\s*)"""
    r"""(?P<value>"(?:\\.|[^"\\])*"?|'(?:[^']|'')*'?|[^\s,}\]]+)""",
    re.IGNORECASE,
)


def blot(line: str) -> str:
    """A line of a file with the values of secrets blotted out.

    Its columns are unchanged.
    """

    def blotted(match: re.Match[str]) -> str:
        value = match["value"]
        return match["key"] + (value if value.startswith("${") else "*" * len(value))

    return _SECRET_IN_LINE.sub(blotted, line)


def hide(text: str, values: Iterable[str]) -> str:
    """`text` with every one of `values` replaced, longest first."""
    for value in sorted(values, key=len, reverse=True):
        for form in (value.replace("${", "$${"), value):  # as a template escapes it, and as it is
            if form in text:
                text = text.replace(form, HIDDEN)
    return text


_RANDOM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_~.-]{8,}")


def shown_url(url: str) -> str:
    """A URL as output shows it: `https://hooks.slack.com/***`.

    Path, query and user are hidden.
    """
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    whole = rest in (host, f"{host}/")
    return f"{scheme}://{host}" + ("" if whole else f"/{HIDDEN}")


def secrets_of_url(url: str) -> frozenset[str]:
    """The texts by which a secret URL can be recognised: itself, and its tokens.

    Tokens are parts of the path, of the query and of the user that look random.
    """
    if shown_url(url) == url:
        return frozenset()
    rest = url.partition("://")[2]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    parts = re.split(r"[/?#&=:@]", rest)
    return frozenset({url, *(p for p in parts if p != host and _RANDOM.fullmatch(p))})


_KNOWN: dict[str, str] = {}
_MOST_KNOWN = 20_000
_SHORTEST_BEGINNING = 4


def remember(values: Iterable[str], texts: Mapping[str, str] | None = None) -> None:
    """Let `veiled` hide these secrets as long as this process lives.

    Args:
        values: secrets; those below `SHORTEST_MASKED` characters are left out.
        texts: longer texts that hold a secret, with what is shown in place of each.
    """
    for value in maskable(values):
        _remember(value, HIDDEN)
        for part in _parts(value):
            _remember(part, HIDDEN)
    for text, shown in (texts or {}).items():
        if len(text) >= SHORTEST_MASKED:
            _remember(text, shown)


def forget() -> None:
    """Hide nothing any more."""
    _KNOWN.clear()
    _longest_first.cache_clear()


def veiled(text: str, *, columns: bool = False) -> str:
    """`text` without the secrets that this process knows, for messages.

    Values are found as they are, quoted, escaped, and cut short with a `…`. With `columns` what is
    shown instead is as wide as the secret.
    """
    if not _KNOWN:
        return text
    for form in _longest_first():
        if form in text:
            text = text.replace(form, "*" * len(form) if columns else _KNOWN[form])
    return _without_beginnings(text) if "…" in text else text


def veiled_all(value: Any) -> Any:
    """A JSON value with every text in it veiled. Field names are unchanged."""
    if not _KNOWN:
        return value
    if isinstance(value, Mapping):
        return {key: veiled_all(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [veiled_all(inner) for inner in value]
    return veiled(value) if isinstance(value, str) else value


class VeiledStream:
    """A text stream that veils every line before it is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        """Write whole lines. An unfinished line waits for its end."""
        *lines, self._begun = (self._begun + text).split("\n")
        self._stream.write("".join(f"{veiled(line)}\n" for line in lines))
        return len(text)

    def flush(self) -> None:
        """Write what waits, too."""
        self._stream.write(veiled(self._begun))
        self._begun = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _remember(text: str, shown: str) -> None:
    hidden = [HIDDEN] * 20 if shown == HIDDEN else _forms(shown)
    for form, instead in zip(_forms(text), hidden, strict=False):
        if len(_KNOWN) < _MOST_KNOWN and form != instead:
            _KNOWN.setdefault(form, instead)
    _longest_first.cache_clear()


@functools.lru_cache(maxsize=1)
def _longest_first() -> tuple[str, ...]:
    return tuple(sorted(_KNOWN, key=len, reverse=True))


_VISIBLE = {number: 0x2400 + number for number in range(0x20) if number != 9}


def _forms(text: str) -> Iterator[str]:
    """The forms in which a text may occur in a message."""
    from html import escape  # only a file with a secret pays for these
    from urllib.parse import quote, quote_plus

    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.replace("'", "'\"'\"'")  # as shlex quotes
    yield text.replace("'", "''")  # as YAML quotes
    yield quote(text, safe="", errors="replace")
    yield quote(text, errors="replace")
    yield quote_plus(text, errors="replace")
    yield escape(text)
    yield text.translate(_VISIBLE)
    yield text.replace("$", "$$")  # as compose escapes
    yield text.replace("${", "$${")  # as our own templates escape
    yield re.sub("/+", "/", text)  # as a path
    yield re.sub("/+", "/", re.sub(r"(?<![^/])\./", "", text))  # as pathlib writes a path


def _parts(value: str) -> Iterator[str]:
    """Parts of a secret that reveal it: lines of a key, and parts around a `/`."""
    for line in value.splitlines() if "\n" in value else ():
        if len(line) >= 12 and not line.startswith("-----"):
            yield line
    if "/" in value and not value.startswith(("/", "~", ".")) and "://" not in value:
        for part in value.split("/"):
            if len(part) >= 8 and re.search("[0-9]", part) and re.search("[A-Za-z]", part):
                yield part


def _without_beginnings(text: str) -> str:
    """`text` without the beginnings of secrets that end in `…`."""
    before, *rest = text.split("…")
    done = ""
    for after in rest:
        done += _without_beginning(before) + "…"
        before = after
    return done + before


def _without_beginning(text: str) -> str:
    for form in _longest_first():
        for length in range(min(len(form), len(text)), _SHORTEST_BEGINNING - 1, -1):
            if text.endswith(form[:length]):
                return text[: len(text) - length] + HIDDEN
    return text


def maskable(values: Iterable[str]) -> frozenset[str]:
    """Those of `values` that are long enough to be masked inside other texts."""
    return frozenset(value for value in values if len(value) >= SHORTEST_MASKED)
