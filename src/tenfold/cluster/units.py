"""The values that a cluster file writes with a rule of their own: times, sizes, names, texts.

Owns: reading each from what a user wrote, its limits, its JSON Schema, and the words when it is
wrong. Leaves to others: which key takes which (`spec`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from tenfold.base.quantities import parse_bytes, parse_duration
from tenfold.errors import shown

MAX_TEXT = 128 * 1024 - 1
"""Linux hands a process no single argument or variable that is longer (MAX_ARG_STRLEN)."""

_LONGEST_S = 366 * 86400.0

_MOST_BYTES = 1 << 60

_DNS_PATTERN = "[a-z]([a-z0-9-]*[a-z0-9])?"
_ENV_PATTERN = "[A-Za-z_][A-Za-z0-9_]*"


class FileModel(BaseModel):
    """What all parts of a cluster file share: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class CellSettings(FileModel):
    """What `cells.NAME` of a cluster file can say. A cell's package has one in `settings.py`.

    Attributes:
        summary: what the cell is, as the schema says it of the key.
        paths: keys whose values are paths of this machine: `HOST:CONTAINER`.
        titles: models inside of this one, each with its key: sections of docs/file.md.
    """

    summary: ClassVar[str] = ""
    paths: ClassVar[tuple[str, ...]] = ()
    titles: ClassVar[Mapping[str, str]] = {}

    def jobs_named(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Names of jobs in these settings, and where each stands in them, for `check`."""
        return iter(())


def wrong(expected: str, hint: str | None = None) -> PydanticCustomError:
    """A validation error that is told as `expected …, got …`, with `hint` below it."""
    context = {"expected": expected} | ({"hint": hint} if hint else {})
    return PydanticCustomError("tenfold", "expected {expected}", context)


def duration(value: object) -> float:
    """Seconds of `10s`, `1m30s`, `500ms`, or of a bare number of seconds."""
    if isinstance(value, str):
        value = parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong("a time such as 10s, 500ms or 1m30s")
    if not 0 <= value <= _LONGEST_S:
        raise wrong("a time between 0s and 366d")
    return float(value)


def memory(value: object) -> int:
    """Bytes of `2GiB`, `512MiB`, `2Gi`, `1.5GB`, or of a bare number of bytes."""
    count = parse_bytes(value) if isinstance(value, str) else value
    if isinstance(count, bool) or not isinstance(count, int):
        raise wrong("a size such as 2GiB or 512MiB", _size_hint(value))
    if not 0 < count <= _MOST_BYTES:
        raise wrong("a size of 1 byte to 1048576TiB")
    return count


def _size_hint(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt])i?b?", value.strip(), re.IGNORECASE)
    return f"write {match[1]}{match[2].upper()}iB" if match else None


def _dns_name(kind: str, most: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if len(value) <= most and re.fullmatch(_DNS_PATTERN, value):
            return value
        slug = re.sub(r"[^a-z0-9]+", "-", value[:200].lower()).lstrip("-0123456789")[:most]
        slug = slug.strip("-")
        rule = f"{kind} of at most {most} lower-case letters, digits and -, beginning with a letter"
        raise wrong(rule, f"write {slug}" if slug else None)

    return check


def _env_name(value: str) -> str:
    if len(value) <= 255 and re.fullmatch(_ENV_PATTERN, value):
        return value
    raise wrong("a variable name of letters, digits and _ that does not begin with a digit")


def _text(value: str) -> str:
    if len(value.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise wrong(f"text of at most {MAX_TEXT} bytes")
    if "\0" in value:
        raise wrong("text without NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise wrong("text that can be written in UTF-8") from None
    return value


def _text_of_number(value: object) -> object:
    """Python code may give a variable as a number; a file's text arrives as it was written."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _name_schema(most: int, pattern: str = _DNS_PATTERN) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "maxLength": most})


ClusterName = Annotated[str, AfterValidator(_dns_name("a name", 63)), _name_schema(63)]
JobName = Annotated[str, AfterValidator(_dns_name("a job name", 40)), _name_schema(40)]
PortName = Annotated[str, AfterValidator(_dns_name("a port name", 15)), _name_schema(15)]
EnvName = Annotated[str, AfterValidator(_env_name), _name_schema(255, _ENV_PATTERN)]
Text = Annotated[str, AfterValidator(_text)]
EnvValue = Annotated[
    Text,
    BeforeValidator(_text_of_number),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Duration = Annotated[
    float,
    BeforeValidator(duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"},
                {"type": "number", "minimum": 0},
            ]
        }
    ),
]
Memory = Annotated[
    int,
    BeforeValidator(memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?B?)?$"},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]


def _as_list(value: object) -> object:
    """One name may stand for the list of it."""
    return [value] if isinstance(value, str) else value


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise wrong(f"unique names ({shown(value)} occurs twice)")
        seen.add(value)
    return values


Names = Annotated[
    tuple[Text, ...],
    AfterValidator(_each_once),
    BeforeValidator(_as_list, json_schema_input_type=Text | list[Text]),
]
JobNames = Annotated[
    tuple[JobName, ...],
    Field(min_length=1),
    AfterValidator(_each_once),
    BeforeValidator(_as_list, json_schema_input_type=JobName | list[JobName]),
]
