"""Where everything of a cluster was written, and faults made of that.

Owns: the place of every value and key by its path, the lines of all files, and the nearest place
for something that has none of its own. Leaves to others: what is wrong (`wording`, `check`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tenfold.base.secrets import blot, is_secret
from tenfold.errors import Fault, Severity, SourcePosition, path_text

Where = tuple[str | int, ...]

LONGEST_LINE = 1000
"""Longer lines are not shown with a fault."""


class Remark(NamedTuple):
    """Something about the value at `path`, or about its key."""

    path: Where
    message: str
    hint: str | None = None
    about_key: bool = False


@dataclass(frozen=True, slots=True)
class SourcePositions:
    """Positions of values and keys, and texts of single values, by path.

    Lines are stored by file.
    """

    values: Mapping[Where, SourcePosition] = field(default_factory=dict)
    keys: Mapping[Where, SourcePosition] = field(default_factory=dict)
    texts: Mapping[Where, str] = field(default_factory=dict)
    lines: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def fault(self, remark: Remark, severity: Severity = "fault") -> Fault:
        """`remark` with its position and source line."""
        path, place = self._nearest(remark.path, remark.about_key)
        found = Fault(place, path_text(path), remark.message, remark.hint, severity)
        return self.with_line(found)

    def _nearest(self, path: Where, about_key: bool) -> tuple[Where, SourcePosition | None]:
        """The position for `path`, and the path to name it by.

        The latter may be the path of an item of a list.
        """
        own = self.keys.get(path) if about_key else None
        if place := own or self.values.get(path):
            return path, place
        if path[-1:] == (0,) and path[:-1] in self.texts:  # a name that stands for the list of it
            return path[:-1], self.values.get(path[:-1])
        if path and path[:-1] in self.values and path[:-1] not in self.texts:
            parent = path[:-1]
            position = 0
            while (*parent, position) in self.values:
                item = (*parent, position)
                if self.texts.get(item) == path[-1]:
                    return item, self.values[item]
                position += 1
        for length in range(len(path) - 1, -1, -1):
            outer = path[:length]
            places = self.values if outer in self.texts else self.keys
            if place := places.get(outer) or self.values.get(outer):
                return path, place
        return path, None

    def with_line(self, fault: Fault) -> Fault:
        """`fault` with its source line; what may be a secret in it is blotted out."""
        place = fault.place
        lines = self.lines.get(place.file, ()) if place else ()
        if place is None or not 0 < place.line <= len(lines) or hides(fault.path):
            return fault
        if len(lines[place.line - 1]) > LONGEST_LINE:
            return fault
        return replace(fault, source_line=blot(lines[place.line - 1]))


def hides(path: str) -> bool:
    """Whether the value at a path may be a secret."""
    return is_secret(path.rpartition(".")[2])
