"""Files of a run directory, read repeatedly: again only if they changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tenfold.run import files
from tenfold.run.jsonfiles import Problems

_Value = TypeVar("_Value")


class _KnownFile(NamedTuple):
    """The contents of a file as of `mark`, and what was wrong with it."""

    mark: object
    value: Any
    problems: Problems


class KnownFiles:
    """What was read from files that are replaced by renaming.

    New contents are another file, so that each is read once for as long as it stays.
    """

    def __init__(self) -> None:
        self._known: dict[Path, _KnownFile] = {}

    def read(
        self, path: Path, problems: Problems, read: Callable[[Path, Problems], _Value]
    ) -> _Value:
        """`read(path, problems)`, or its last result. Damage is noted each time."""
        mark = files.mark(path)
        known = self._known.get(path)
        if known is None or known.mark != mark or known.problems.found:
            found = Problems()
            known = self._known[path] = _KnownFile(mark, read(path, found), found)
        problems.found.update(known.problems.found)
        value: _Value = known.value
        return value
