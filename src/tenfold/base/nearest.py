"""Find the name that was probably meant.

Owns: how near is near, and the bounds that keep the search quick whatever the names are. Leaves to
others: the words around the answer.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

MOST_NAMES = 300
MOST_LISTED = 3000
LONGEST = 100


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most similar one of `names`, or None if none is similar to `name`.

    Of many names, those that begin with the same letter are looked at, and 300 at most.
    """
    if len(name) > LONGEST:
        return None
    known = [other for other in islice(names, MOST_LISTED) if len(other) <= LONGEST]
    if len(known) > MOST_NAMES:
        known = [other for other in known if other[:1] == name[:1]][:MOST_NAMES]
    near = difflib.get_close_matches(name, known, 1, cutoff)
    return near[0] if near else None


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The question with the most similar name, or None if there is none."""
    near = nearest(name, names, cutoff)
    return f"did you mean {near}?" if near else None
