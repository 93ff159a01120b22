"""Which values are secrets, and how output hides them.

Owns: the rule by name and the replacement text. Leaves to others: knowing the values (`load`,
`plan`) and every place of output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "***"
"""What stands in place of a secret."""

SHORTEST_MASKED = 6
"""Values below this many characters are hidden where they are a variable's whole value only:
replacing every `1` of a command line would hide nothing and spoil everything."""

_SECRET_NAME = re.compile(
    r"(?:.*_|)(?:TOKEN|KEY|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIALS?)", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret (`WANDB_API_KEY`, `hub_token`, `PASSWORD`)."""
    return _SECRET_NAME.fullmatch(name) is not None


_SECRET_IN_LINE = re.compile(
    r"""(?P<key>(?:token|key|password|passwd|passphrase|secret|credentials?)["']?\s*[:=]\s*)"""
    r"""(?P<value>"(?:\\.|[^"\\])*"?|'(?:[^']|'')*'?|[^\s,}\]]+)""",
    re.IGNORECASE,
)


def blot(line: str) -> str:
    """A line of a file with the values of secrets in it blotted out, its columns unchanged."""

    def blotted(match: re.Match[str]) -> str:
        value = match["value"]
        return match["key"] + (value if value.startswith("${") else "*" * len(value))

    return _SECRET_IN_LINE.sub(blotted, line)


def hide(text: str, values: Iterable[str]) -> str:
    """`text` with every one of `values` replaced, longest first."""
    for value in sorted(values, key=len, reverse=True):
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


def maskable(values: Iterable[str]) -> frozenset[str]:
    """Those of `values` that are long enough to be looked for inside other texts."""
    return frozenset(value for value in values if len(value) >= SHORTEST_MASKED)
