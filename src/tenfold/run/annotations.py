"""`annotations.json`: the tags and the note that the user gave a run.

One reader and one writer. Everything else in a run directory says what happened; this file says
what the run means to its owner. It may change while the run is up and after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from tenfold.errors import InputError, TenfoldError, shown
from tenfold.run.jsonfiles import JsonFile, Problems
from tenfold.run.rundir import RunDirectory

LONGEST_TAG = 100
LONGEST_NOTE = 10_000
MOST_TAGS = 100

_TAG = re.compile(r"[^\s,\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Annotations(JsonFile):
    """Tags and a note of a run.

    Each tag is there once, in the order in which they were given. The note is empty if there is
    none.
    """

    version: int = 1
    tags: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def read_of(cls, run: RunDirectory, problems: Problems | None = None) -> Self:
        """The annotations of `run`. A damaged file is noted and read as far as it goes."""
        told = cls.read(run.annotations, problems) or cls()
        tags = tuple(dict.fromkeys(tag for tag in told.tags if _is_tag(tag)))
        return cls(tags=tags[:MOST_TAGS], note=told.note[:LONGEST_NOTE])

    def keep(self, run: RunDirectory) -> None:
        """Write the annotations of `run`. Raises TenfoldError if the disk refuses it."""
        try:
            self.write(run.annotations)
        except OSError as error:
            raise TenfoldError(
                f"cannot write {run.annotations}: {error.strerror or error}", cause=error
            ) from error

    def shown(self) -> dict[str, Any]:
        """`tags` and `note` as JSON of views has them."""
        return {"tags": list(self.tags), "note": self.note or None}

    def __bool__(self) -> bool:
        """Whether there is a tag or a note."""
        return bool(self.tags or self.note)


def change(run: RunDirectory, changed: Callable[[Annotations], Annotations]) -> Annotations:
    """Replace the annotations of `run` by what `changed` makes of them.

    Returns the new ones.

    Two processes that do this at the same time both take effect.
    """
    with _alone(run):
        made = changed(Annotations.read_of(run))
        if len(made.tags) > MOST_TAGS:
            raise InputError(f"a run has at most {MOST_TAGS} tags")
        made.keep(run)
    return made


@contextlib.contextmanager
def _alone(run: RunDirectory) -> Iterator[None]:
    """Lock the run's directory, if the file system has locks of directories."""
    try:
        directory = os.open(run.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise TenfoldError(f"cannot open {run.path}: {error.strerror}", cause=error) from error
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """`tags`, each once. Raises InputError for a text that cannot be a tag."""
    found = tuple(dict.fromkeys(tags))
    for tag in found:
        if not _is_tag(tag):
            raise InputError(
                f"invalid tag {shown(tag)}",
                hint=f"a tag has 1 to {LONGEST_TAG} characters, without spaces and commas",
            )
    if len(found) > MOST_TAGS:
        raise InputError(f"a run has at most {MOST_TAGS} tags")
    return found


def checked_note(note: str) -> str:
    """`note` without the space around it. Raises InputError if it is too long."""
    note = note.strip()
    if len(note) > LONGEST_NOTE:
        raise InputError(f"a note has at most {LONGEST_NOTE:,} characters")
    return note


def _is_tag(text: str) -> bool:
    return len(text) <= LONGEST_TAG and _TAG.fullmatch(text) is not None and text.isprintable()
