"""JSON files of a run directory: written whole, read tolerantly.

`files` opens them and `records` checks the types of their values. Each file has its own module with
a type, which reads and writes it through this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.base.json_text import json_text
from tenfold.base.older import Self
from tenfold.run import files, records
from tenfold.run.leftovers import sweep


@dataclass(slots=True)
class Problems:
    """Files that could not be read completely, by path.

    Views report them beside what they show.
    """

    found: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path, what: str) -> None:
        """Record that `path` is damaged. `what` describes how."""
        self.found[path] = what


def write_json(path: Path, value: object) -> None:
    """Write `value` to `path` atomically: readers see the old or the new file.

    That holds when the writer is killed at any moment. It is not synced to the disk, which takes
    milliseconds, thousands of times a run: after a loss of power a file system that does not
    write a renamed file's data first (ext4 and btrfs do) may have an empty one, which is damage
    like any other.
    """
    text = json_text(value, separators=(",", ":"))  # faster than json.dump
    files.write_whole(path, text.encode())
    if path not in _written:
        _written.add(path)
        sweep(path)


_written: set[Path] = set()
"""Paths this process has written.

At its first write to a path, the process looks for what earlier processes left.
"""


def read_json(path: Path, problems: Problems | None = None) -> dict[str, Any] | None:
    """The object in `path`, or None if the file is missing or damaged.

    Damage is noted.

    Its values have the types that `records` states for a file of that name; others are left out
    and noted.
    """
    try:
        value, wrong = records.typed(records.parse(files.read_whole(path)), records.shape_of(path))
    except FileNotFoundError:
        return None
    except records.NotAnObjectError as error:
        wrong, value = str(error), None
    except (OSError, ValueError) as error:
        wrong, value = f"cannot be read: {getattr(error, 'strerror', None) or error}", None
    if wrong is not None and problems is not None:
        problems.add(path, wrong)
    return value


class JsonObject:
    """An object in a JSON file of a run directory.

    Subclasses are frozen dataclasses with slots. The object has their fields, and `records` states
    which values these can have. A field that is missing, null or of another type has its default.
    Lists are tuples here.
    """

    __slots__: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with tuples as lists."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The object in the result of `to_json`. Other fields of `data` are left out."""
        known = {name: data[name] for name in cls.__slots__ if data.get(name) is not None}
        lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known | lists)


class JsonFile(JsonObject):
    """A JSON file of a run directory that has one object."""

    __slots__ = ()

    def write(self, path: Path) -> None:
        """Write the file whole. Raises OSError if the disk refuses it."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path, problems: Problems | None = None) -> Self | None:
        """The readable part of the file, or None if it is missing or damaged.

        Damage is noted.
        """
        data = read_json(path, problems)
        return None if data is None else cls.from_json(data)
