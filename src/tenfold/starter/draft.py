"""A cluster file that `tenfold init` is about to write.

Owns: what a draft holds, and what could not be carried over into it. Leaves to others: where it
comes from (`commands`, `batch`, `compose`, `survey`), and its text (`text`).

Every text of a draft is a template: a literal `${` is written `$${` (see `literal`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tenfold.base.secrets import blot
from tenfold.cluster.template import written
from tenfold.errors import printable

MOST_NOTES = 40
"""The maximum number of notes that are shown."""


def literal(text: str) -> str:
    """The template that stands for exactly this text."""
    return written((text,)) if "${" in text else text


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was not carried over as it was: what, and why or what instead."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{one_line(self.what, 90)}: {one_line(self.why, 200)}"


def one_line(text: str, most: int) -> str:
    """`text` in one line for a terminal or a comment, cut, and without secrets."""
    line = blot(" ".join(printable(text).split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


@dataclass(slots=True)
class DraftJob:
    """One job of a draft. Names and meanings are those of `tenfold.cluster.spec.Job`.

    `comment` is the line above the job. `shell` is a text for `sh -c` instead of `run`.
    """

    run: tuple[str, ...] | None = None
    shell: str | None = None
    tasks: int = 1
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    resources: dict[str, object] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    ready: dict[str, object] | None = None
    ports: dict[str, int] = field(default_factory=dict)
    publish: list[str] = field(default_factory=list)
    restart: str | dict[str, object] | None = None
    image: str | None = None
    network: str | None = None
    preload: str | None = None
    comment: str | None = None


@dataclass(slots=True)
class Draft:
    """A cluster file to be.

    Attributes:
        origin: what it was made from, for its first comment and the first line on stderr.
        reasons: what was decided and why, in the order of the decisions.
        workdir: the working directory of jobs that are added from now on.
        notes: what was not carried over as it was.
        others: commands that start from something else that was found.
    """

    cluster: str = "my-cluster"
    framework: str = "none"
    origin: str = ""
    jobs: dict[str, DraftJob] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    image: str | None = None
    build: dict[str, object] | None = None
    tensorboard: bool = False
    jupyter: bool = False
    success: list[str] = field(default_factory=list)
    cells: dict[str, dict[str, object]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def note(self, what: str, why: str) -> None:
        """Record once that `what` was not carried over as it was."""
        made = Note(what, why)
        if made not in self.notes:
            self.notes.append(made)


def job_name(text: str, taken: dict[str, DraftJob] | None = None) -> str:
    """A valid name of a job made from `text`, which no job in `taken` has."""
    name = re.sub(r"[^a-z0-9]+", "-", text[:200].lower()).lstrip("-0123456789")[:36].strip("-")
    name = name or "task"
    free, number = name, 2
    while taken is not None and free in taken:
        free, number = f"{name}-x{number}", number + 1
    return free
