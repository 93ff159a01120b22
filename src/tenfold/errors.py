"""What can go wrong, as one family of errors.

Owns: the root error `TenfoldError`, its three kinds by exit code, and `Fault`, one finding about
one place of a cluster file. Leaves to others: printing and exiting (only the command line does
either) and finding places (`document`, `places`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from tenfold.base.secrets import veiled

Severity = Literal["fault", "warning"]

MOST_FAULTS = 200
"""The maximum number of faults reported for one file."""

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, order=True, slots=True)
class SourcePosition:
    """A position in text that a user wrote.

    `line` and `column` count from 1, in characters.

    `line` 0 means the whole of `file`; `file` is then often no file (`--set jobs.worker.tasks=x`).
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in what the user wrote.

    With the severity "warning", it will cause harm later.

    `source_line` is the text of the line at `place`, without its end, when it is known and fit to
    be shown (no secret in it); the command line prints it with a caret under `place.column`.
    """

    place: SourcePosition | None
    path: str
    message: str
    hint: str | None = None
    severity: Severity = "fault"
    source_line: str | None = None

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.place, self.path, self.message) if part)

    def veiled(self) -> Fault:
        """The same without the secrets that this process knows of."""
        place = self.place and replace(self.place, file=veiled(self.place.file))
        line = self.source_line and veiled(self.source_line, columns=True)
        hint = self.hint and veiled(self.hint)
        message, path = veiled(self.message), veiled(self.path)
        return Fault(place, path, message, hint, self.severity, line)

    def excerpt(self, width: int = 100) -> str | None:
        """The source line with a caret under the position, or None if unknown.

        It is cut to `width` columns.
        """
        if self.source_line is None or self.place is None or not self.place.line:
            return None
        column = max(0, self.place.column - 1)
        start = max(0, column - width * 2 // 3)
        before = printable(self.source_line[start:column]).expandtabs(4)
        line = (before + printable(self.source_line[column : start + width])).expandtabs(4)
        return f"{line.rstrip()}\n{' ' * columns(before)}^"

    def to_json(self) -> dict[str, Any]:
        """The shape of `check --json`.

        `file`, `line` and `column` are null without a position.
        """
        place = self.place
        return {
            "severity": self.severity,
            "file": place.file if place else None,
            "line": place.line if place and place.line else None,
            "column": place.column if place and place.line else None,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }


class TenfoldError(Exception):
    """Root of everything tenfold raises on purpose.

    `message` is one sentence for the user, `hint` what to do about it, `cause` what was caught when
    this was raised (for `--debug`). `exit_code` is the process's exit code when nothing handles it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, hint: str | None = None, cause: BaseException | None = None
    ) -> None:
        message = veiled(message)
        super().__init__(message)
        self.message = message
        self.hint = None if hint is None else veiled(hint)
        self.cause = cause

    def __str__(self) -> str:
        return self.message


class InputError(TenfoldError):
    """The user's input is wrong.

    `faults` holds every fault found, in the order of their positions.
    """

    exit_code = 2

    def __init__(
        self,
        message: str | None = None,
        *,
        faults: Iterable[Fault] = (),
        hint: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        self.faults = tuple(fault.veiled() for fault in faults)
        super().__init__(message or _summary(self.faults), hint=hint, cause=cause)

    def __str__(self) -> str:
        if not self.faults:
            return self.message
        return "\n".join(
            f"{fault}\n    hint: {fault.hint}" if fault.hint else str(fault)
            for fault in self.faults
        )


class UnavailableError(TenfoldError):
    """Something outside is missing.

    For example, the cell does not answer, or a package is not installed.
    """

    exit_code = 3


def _summary(faults: tuple[Fault, ...]) -> str:
    if not faults:
        return "the input is not valid"
    where = next((fault.place.file for fault in faults if fault.place), None)
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{count} in {where}" if where else count


def printable(text: str) -> str:
    """`text` with dangerous characters made visible.

    These could move a terminal's cursor or hide other characters.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, and characters that reorder or break a line.

Controls are C0 and C1. Also tags, and what is not a character.
"""

_COLOURING = re.compile(r"\x1b\[[\d;:]*m")


def visible(text: str, *, colours: bool = False) -> str:
    """Text of several lines that a terminal only displays.

    It is in `colours` if they are wanted.
    """
    if text.isprintable():
        return text
    if not colours or "\x1b" not in text:
        return _UNSEEN.sub(lambda found: _visible(found[0]), text)
    plain = iter(_COLOURING.split(text))
    made = visible(next(plain))
    return made + "".join(
        c + visible(p) for c, p in zip(_COLOURING.findall(text), plain, strict=True)
    )


def _visible(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return "␡" if character == "\x7f" else "�"


def columns(text: str) -> int:
    """How many terminal columns `text` takes.

    Wide characters take two, combining characters take none.
    """
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shown(value: object) -> str:
    """A value as messages quote it, never long.

    Text is quoted, and lists and mappings are named by type.
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{_cut(printable(value))}"'
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 256:
        return "a number with too many digits"
    return _cut(printable(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


def path_text(path: Iterable[str | int]) -> str:
    """("jobs", "worker", "after", 0) as `jobs.worker.after[0]`.

    Odd keys are cut and quoted.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = part.replace("-", "").replace("_", "").isalnum() and len(part) <= _SHOWN_CHARACTERS
        text += ("." if text else "") + (part if plain else shown(part))
    return text
