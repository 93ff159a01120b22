"""A compose file as its services, with `extends` and `${…}` applied.

Owns: reading, with the limits of a cluster file (size, depth, aliases). Only files inside of the
project are read. Nothing is run. Leaves to others: what a service becomes (`compose_draft`).

Source: the Compose specification, https://github.com/compose-spec/compose-spec.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.base.secrets import is_secret
from tenfold.cluster.command_line import hidden_references, restored
from tenfold.cluster.file.document import (
    MappingNode,
    Node,
    SequenceNode,
    read_bytes,
    read_document,
)
from tenfold.cluster.file.places import SourcePositions
from tenfold.errors import InputError
from tenfold.starter.draft import Note, literal

_MOST_EXTENDS = 20
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(
    rf"\$(?:(\$)|({_NAME})|\{{({_NAME})(?:(:?[-?+])((?:[^{{}}]|\{{[^{{}}]*\}})*))?\}})"
)

Plain = Any
"""A value of YAML: a dict, a list, text as it was written, or None."""


@dataclass(slots=True)
class ComposeFile:
    """The services of a compose file as plain values, and what was left out."""

    name: str
    directory: Path
    services: dict[str, dict[str, Plain]] = field(default_factory=dict)
    volumes: dict[str, Plain] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def note(self, what: str, why: str) -> None:
        """Record once what was not carried over as it was."""
        if (made := Note(what, why)) not in self.notes:
            self.notes.append(made)


def read_compose(file: Path, shown: str) -> ComposeFile:
    """The services of a compose file. Raises InputError with every fault of its YAML."""
    root = _read(file, shown)
    made = ComposeFile(shown, file.parent)
    made.values = _pairs_of(made, ".env") if (file.parent / ".env").is_file() else {}
    if not isinstance(root.get("services"), dict):
        raise InputError(
            f"{shown} has no services", hint="is it a compose file? name another one with --from"
        )
    made.volumes = root["volumes"] if isinstance(root.get("volumes"), dict) else {}
    for key in root:
        if key in ("include", "secrets", "configs"):
            made.note(f"{key}:", "not read; carry it over by hand")
    for name, service in root["services"].items():
        if isinstance(service, dict):
            made.services[name] = _extended(made, root["services"], service, file, 0)
    return made


def mapping(value: Plain) -> dict[str, Plain]:
    """`value` if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Plain) -> list[Plain]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _read(file: Path, shown: str) -> dict[str, Plain]:
    document = read_document(read_bytes(file, shown), shown)
    if document.faults:
        places = SourcePositions(lines={shown: document.lines})
        raise InputError(faults=[places.with_line(fault) for fault in document.faults])
    plain = _plain(document.root) if document.root is not None else None
    return plain if isinstance(plain, dict) else {}


def _plain(node: Node) -> Plain:
    if isinstance(node, MappingNode):
        return {key: _plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, SequenceNode):
        return [_plain(item) for item in node.items]
    return None if node.value is None else node.text


def _extended(
    made: ComposeFile,
    services: Mapping[str, Plain],
    service: dict[str, Plain],
    file: Path,
    depth: int,
) -> dict[str, Plain]:
    """The service with those merged in that it extends."""
    wanted = service.get("extends")
    if wanted is None:
        return service
    name = wanted if isinstance(wanted, str) else mapping(wanted).get("service")
    other = mapping(wanted).get("file")
    rest = {key: value for key, value in service.items() if key != "extends"}
    if depth >= _MOST_EXTENDS or not isinstance(name, str):
        made.note(f"extends: {name}", "not followed: a circle, or too deep")
        return rest
    if isinstance(other, str):
        found = inside(made, other)
        if found is None:
            return rest
        try:
            services, file = mapping(_read(found, other).get("services")), found
        except InputError as error:
            made.note(f"extends: {other}", f"cannot be read: {error}")
            return rest
    base = services.get(name)
    if not isinstance(base, dict):
        made.note(f"extends: {name}", "there is no such service")
        return rest
    return _merged(_extended(made, services, base, file, depth + 1), rest)


def _merged(base: dict[str, Plain], own: dict[str, Plain]) -> dict[str, Plain]:
    """`own` over `base`: mappings by key, lists joined, the rest replaced."""
    result = dict(base)
    for key, value in own.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            result[key] = _merged(before, value)
        elif key == "environment":
            result[key] = pairs(before) | pairs(value)
        elif isinstance(before, list) and isinstance(value, list) and key not in _REPLACED:
            result[key] = [*before, *(item for item in value if item not in before)]
        else:
            result[key] = value
    return result


_REPLACED = ("command", "entrypoint", "test")


def inside(made: ComposeFile, name: str) -> Path | None:
    """A file inside of the project, or None with a note: nothing else is read."""
    project = Path(os.path.realpath(made.directory))
    path = Path(os.path.realpath(made.directory / name))
    if not path.is_relative_to(project):
        made.note(name, "not read, because it is outside of the directory of the compose file")
        return None
    if not path.is_file():
        made.note(name, "there is no such file")
        return None
    return path


def pairs(value: Plain) -> dict[str, str | None]:
    """`environment` as a mapping. None stands for the value of the shell."""
    if isinstance(value, dict):
        return {str(key): text if isinstance(text, str) else None for key, text in value.items()}
    made: dict[str, str | None] = {}
    for item in value if isinstance(value, list) else []:
        if isinstance(item, str):
            name, separator, text = item.partition("=")
            made[name.strip()] = text if separator else None
    return made


def env_file(made: ComposeFile, value: Plain) -> dict[str, str]:
    """The variables of `env_file` as templates. Secrets come from the shell."""
    items = value if isinstance(value, list) else [value]
    result: dict[str, str] = {}
    for item in items:
        name = item.get("path") if isinstance(item, dict) else item
        if not isinstance(name, str):
            continue
        for key, text in _pairs_of(made, evaluated(made, name)).items():
            if is_secret(key):
                made.note(f"{key} in {name}", "not copied, as it is a secret: set it in your shell")
                result[key] = f"${{env.{key}:-}}"
            else:
                result[key] = literal(text)
    return result


def _pairs_of(made: ComposeFile, name: str) -> dict[str, str]:
    """The variables of a file of `NAME=VALUE` lines."""
    path = inside(made, name)
    if path is None:
        return {}
    try:
        text = read_bytes(path, name).decode("utf-8", "replace")
    except InputError as error:
        made.note(name, str(error))
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(rf"\s*(?:export\s+)?({_NAME})\s*=\s*(.*?)\s*", line)
        if match:
            value = match[2]
            quoted = re.fullmatch(r"(['\"])(.*)\1(?:\s+#.*)?", value)
            found[match[1]] = quoted[2] if quoted else re.sub(r"\s+#.*", "", value)
    return found


def template(made: ComposeFile, text: str) -> str:
    """`text` with compose's `${VAR:-x}` as tenfold's `${env.VAR:-x}`."""
    parts: list[str] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        parts.append(literal(text[at : match.start()]))
        parts.append(_reference(made, match))
        at = match.end()
    parts.append(literal(text[at:]))
    return "".join(parts)


def _reference(made: ComposeFile, match: re.Match[str]) -> str:
    if match[1]:
        return "$$" if match.string.startswith("{", match.end()) else "$"
    name, operator, operand = match[2] or match[3], match[4] or "", match[5] or ""
    known = made.values.get(name)
    if known is not None and is_secret(name):
        made.note(f"{name} in .env", "not copied, as it is a secret: set it in your shell")
        known = None
    if operator.endswith("?") and known is None:
        return f"${{env.{name}}}"
    if operator.endswith("+"):
        made.note(match[0], "tenfold has no such form; the value was left empty")
        return ""
    default = known
    if default is None or (not default and operator == ":-"):
        default = evaluated(made, operand) if operator.endswith("-") else ""
    if "}" in default or "{" in default:
        made.note(match[0], "the default has braces; the value was written as it is now")
        return literal(default)
    return f"${{env.{name}:-{default}}}"


def evaluated(made: ComposeFile, text: str, depth: int = 0) -> str:
    """`text` with the variables of `.env` and of this process filled in."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        name, operator, operand = match[2] or match[3], match[4] or "", match[5] or ""
        known = None if is_secret(name) else os.environ.get(name, made.values.get(name))
        if operator.endswith("+"):
            return operand if known else ""
        missing = known is None or (operator.startswith(":") and not known)
        if missing and operator.endswith("-"):
            return evaluated(made, operand, depth + 1) if depth < 10 else operand
        return known or ""

    return _VARIABLE.sub(value, text)


def command_words(made: ComposeFile, value: Plain) -> list[str] | None:
    """`command` or `entrypoint` as words, as templates. None if there is none."""
    if isinstance(value, list):
        return [template(made, item) for item in value if isinstance(item, str)]
    if not isinstance(value, str) or not value.strip():
        return None
    kept: list[str] = []
    hidden = hidden_references(template(made, value), kept)
    try:
        words = shlex.split(hidden)
    except ValueError as error:
        made.note(value, f"cannot be split into words: {error}")
        return None
    return [restored(word, kept) for word in words]
