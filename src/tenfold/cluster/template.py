"""The grammar of `${…}`: parts of a text, escapes, and late names.

Owns: reading a text into literal and reference parts and writing it back without loss. Leaves to
others: what a name stands for (`interpolate` for vars and the environment, `plan` for tasks,
addresses and directories).

`${name}` refers; `$${` is a literal `${`; more dollars follow the same rule, so that every text can
be written: an even number before `{` is half as many dollars and a brace, an odd number is half as
many dollars and a reference. A dollar without a brace is a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

LATE = ("task", "jobs", "run")
"""First parts of names whose value comes from the plan or a task's start."""

LATE_NAMES = (
    "task.job",
    "task.index",
    "task.name",
    "task.label",
    "task.address",
    "task.ports.NAME",
    "jobs.JOB.addresses",
    "jobs.JOB.addresses.0",
    "jobs.JOB.hosts.0",
    "jobs.JOB.ports.0",
    "jobs.JOB.tasks",
    "run.directory",
    "run.tensorboard",
    "run.checkpoints",
    "run.results",
)
"""Every late name.

Capitals stand for a job's or a port's name, 0 for a task's index.
"""

INDEX = re.compile(r"0|[1-9][0-9]{0,6}")
"""A task's index in a late name."""

_OPENING = re.compile(r"(?<!\$)(\$++)\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """One `${name}` or `${name:-default}`.

    `offset` is the position of its `$` in its original text.
    """

    name: str
    default: str | None = None
    offset: int = 0

    @property
    def late(self) -> bool:
        """Whether only the plan or a started task knows the value."""
        head, dot, _ = self.name.partition(".")
        return bool(dot) and head in LATE

    def __str__(self) -> str:
        default = "" if self.default is None else f":-{self.default}"
        return f"${{{self.name}{default}}}"


Part = str | Reference
Parts = tuple[Part, ...]


class TemplateError(ValueError):
    """A `${` that cannot be read. `offset` is where it starts."""

    def __init__(self, message: str, offset: int, hint: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.hint = hint


@lru_cache(maxsize=256)
def parse(text: str) -> Parts:
    """The parts of `text`, literals unescaped. Raises TemplateError on a broken `${`."""
    if "${" not in text:
        return (text,) if text else ()
    parts: list[Part] = []
    position = 0
    for match in _OPENING.finditer(text):
        if match.start() < position:
            continue  # inside the default of the reference before
        dollars = len(match[1])
        parts.append(text[position : match.start()] + "$" * (dollars // 2))
        if dollars % 2:
            reference, position = _reference(text, match.end())
            parts.append(reference)
        else:
            parts.append("{")
            position = match.end()
    parts.append(text[position:])
    return joined(parts)


def _reference(text: str, start: int) -> tuple[Reference, int]:
    """The reference whose `{` ends at `start`, and the position after its `}`."""
    end = text.find("}", start)
    offset = start - 2
    escape = "write $${ for a literal ${"
    if end < 0:
        raise TemplateError("`${` without its `}`", offset, f"close it, or {escape}")
    name, separator, default = text[start:end].partition(":-")
    if not _NAME.fullmatch(name):
        message = f'"{name[:40]}" is not a valid name in ${{…}}'
        raise TemplateError(message, offset, f"a name is letters, digits, _ and -, or {escape}")
    return Reference(name, default if separator else None, offset), end + 1


def joined(parts: Iterable[Part]) -> Parts:
    """The same parts with neighbouring literals made one and empty ones left out."""
    result: list[Part] = []
    for part in parts:
        if isinstance(part, str) and result and isinstance(result[-1], str):
            result[-1] += part
        elif part != "":
            result.append(part)
    return tuple(result)


def written(parts: Iterable[Part]) -> str:
    """The text that `parse` reads as these parts."""
    text = ""
    for part in reversed(joined(parts)):
        if isinstance(part, Reference):
            text = f"{part}{text}"
            continue
        escaped = _OPENING.sub(lambda match: match[1] * 2 + "{", part)
        if text.startswith("${"):
            bare = escaped.rstrip("$")
            escaped = bare + "$" * (2 * (len(escaped) - len(bare)))
        text = escaped + text
    return text


def fill(text: str, value: Callable[[str], str | None]) -> str:
    """`text` unescaped, with references replaced by their `value`.

    A name for which `value` gives None is left as it was written.
    """
    if "${" not in text:
        return text
    filled = (part if isinstance(part, str) else value(part.name) for part in parse(text))
    return "".join(
        str(part) if new is None else new for part, new in zip(parse(text), filled, strict=True)
    )


def fill_some(text: str, value: Callable[[str], str | None]) -> str:
    """As `fill`, but the result can still be parsed: what stays keeps its meaning."""
    if "${" not in text:
        return text
    parts: list[Part] = []
    for part in parse(text):
        new = None if isinstance(part, str) else value(part.name)
        parts.append(part if new is None else new)
    return written(parts)


def references(text: str) -> list[Reference]:
    """The references in `text`, in their order. Raises TemplateError as `parse` does."""
    return [part for part in parse(text) if isinstance(part, Reference)]
