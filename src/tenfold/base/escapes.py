"""Terminal escape sequences in text that tasks wrote.

Owns: what counts as one, and text without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)"
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f\u061c\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, and characters that reorder or break a line.

Also what is not a character.
"""


def plain(text: str, kept: Callable[[str], bool] = lambda _: False) -> str:
    """`text` without escape sequences and control characters.

    Sequences that `kept` is true of stay, and so do tabs and newlines.
    """
    if text.isprintable():
        return text
    left = _ESCAPE.sub(lambda found: found[0] if kept(found[0]) else "", text)
    return _CONTROL.sub("", left)
