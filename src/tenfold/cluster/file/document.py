"""YAML bytes → values that know where they were written.

Owns: decoding, the limits that give any input its answer within a second, YAML's structure
(anchors, merge keys, duplicate keys, tags), and which value a plain scalar is by the rules of
YAML 1.2: `no` is text, `0777` too, and every scalar keeps its source text. Leaves to others: what
the values mean (`load`, `spec`), and `${…}` (`interpolate`).

The events come from libyaml through PyYAML (docs/decisions/0001); nothing that a file says is ever
constructed or called.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tenfold.base.quantities import bytes_text, memory_text
from tenfold.cluster.file.syntax import syntax_fault
from tenfold.errors import Fault, InputError, SourcePosition, shown

MAX_BYTES = 512 * 1024
"""The maximum size of a file in bytes.

The time to read a file grows with its size, and people's files are a hundredth of this.
"""

MAX_DEPTH = 50
"""Deepest nesting of lists and mappings."""

MAX_NODES = 30_000
"""Most values in a file, each alias counted with all that it stands for."""

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_MOST_DIGITS = 300

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

_TAG = "tag:yaml.org,2002:"
_TAG_FITS = {"int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),)}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value. `text` is what was written.

    `value` is what the text means by the rules of YAML 1.2.

    `inset` is how many characters after `place` the text begins, None if it cannot be told
    (several lines, escapes). A `broken` value has its fault already and is left out of all else.
    """

    value: Any
    text: str
    place: SourcePosition | None = None
    inset: int | None = None
    broken: bool = False

    def at(self, offset: int) -> SourcePosition | None:
        """The position of character `offset` of the text, as exactly as is known."""
        if self.place is None or self.inset is None:
            return self.place
        return replace(self.place, column=self.place.column + self.inset + offset)


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    place: SourcePosition | None = None


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """The position of a key, and its value."""

    key: SourcePosition | None
    node: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping; keys are text, in the order of the file."""

    entries: dict[str, MappingEntry]
    place: SourcePosition | None = None


Node = Scalar | SequenceNode | MappingNode


@dataclass(slots=True)
class Document:
    """The contents of a text. `root` is None if the text cannot be read at all.

    `lines` are its lines.

    `size` is the number of values, each alias counted with all that it stands for.
    """

    root: Node | None
    faults: list[Fault] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    size: int = 0


def resolve(text: str) -> Any:
    """The value of a plain scalar by YAML 1.2's core schema.

    It is a string if it is nothing else.

    Two of its numbers stay text, because people mean something else by them: those with leading
    zeros (`0777`) and those with more than 300 digits.
    """
    if text in _SPECIAL:
        return _SPECIAL[text]
    if len(text) > _MOST_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return int(text, 0) if _BASED.fullmatch(text) else text


def read_bytes(path: Path, shown_as: str) -> bytes:
    """The file's bytes.

    Raises InputError if it cannot be read, is not a file, or is too large.
    """
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise InputError(f"{shown_as} is a directory", hint=f"name the file: {shown_as}/…")
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{shown_as} is not a regular file")
        if info.st_size > MAX_BYTES:
            raise InputError(_too_large(shown_as, info.st_size), hint=_SMALLER)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid name"
        raise InputError(f"cannot read {shown_as}: {reason}", cause=error) from error
    if len(data) > MAX_BYTES:
        raise InputError(_too_large(shown_as, len(data)), hint=_SMALLER)
    return data


_SMALLER = "a cluster file describes jobs; keep data in separate files"


def _too_large(shown_as: str, size: int) -> str:
    limit = memory_text(MAX_BYTES)
    return f"{shown_as} is too large: {bytes_text(size)}; the limit is {limit}"


def decode(data: bytes, file: str) -> tuple[str | None, Fault | None]:
    """The text of UTF-8 bytes, or the fault that explains why there is none.

    A byte order mark is left out.
    """
    if data.startswith(_BOMS):
        hint = f"convert it: iconv -f UTF-16 -t UTF-8 {file}"
        return None, Fault(SourcePosition(file, 1, 1), "", "is UTF-16, but must be UTF-8", hint)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_of(data[: error.start].decode("utf-8-sig", "replace"), file)
        byte = f"0x{data[error.start]:02x}"
        hint = "save the file as UTF-8 text"
        return None, Fault(place, "", f"is not UTF-8 text (byte {byte})", hint)
    if found := _UNREADABLE.search(text):
        place = _place_of(text[: found.start()], file)
        message = f"has a character that YAML does not allow (U+{ord(found[0]):04X})"
        return None, Fault(place, "", message, 'write it as an escape in quotes ("\\x07")')
    return text, None


def _place_of(before: str, file: str) -> SourcePosition:
    lines = _LINE_END.split(before)
    return SourcePosition(file, len(lines), len(lines[-1]) + 1)


def read_document(data: bytes, file: str) -> Document:
    """The document in `data`; all its faults are in the answer. Never raises."""
    text, fault = decode(data, file)
    if text is None:
        return Document(None, [fault] if fault else [])
    return compose(text, file)


def compose(text: str, file: str) -> Document:
    """The one document in `text`, with positions in `file`. Never raises."""
    lines = _LINE_END.split(text)
    composer = _Composer(file)
    try:
        root = composer.document(text)
    except yaml.MarkedYAMLError as error:
        return Document(None, [*composer.faults, syntax_fault(error, file, lines)], lines)
    except yaml.YAMLError as error:
        fault = Fault(SourcePosition(file), "", f"cannot be read: {error}".split("\n")[0])
        return Document(None, [*composer.faults, fault], lines)
    except _Fatal as error:
        return Document(None, [*composer.faults, error.fault], lines)
    return Document(root, composer.faults, lines, composer.count)


class _Fatal(Exception):
    """A fault after which reading on makes no sense."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Composer:
    """Makes nodes of libyaml's events."""

    def __init__(self, file: str) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._events: Iterator[Any] = iter(())
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self.count = 0

    def document(self, text: str) -> Node | None:
        self._events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        extra = next(self._events)
        if isinstance(extra, yaml.DocumentStartEvent):
            hint = "write one cluster per file; use `extends` to extend another file"
            self._fault(extra, "a second document begins here", hint)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._counted(1, event)
        before = self.count
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = self._made(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self.count - before + 1)
        return node

    def _made(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth >= MAX_DEPTH:
            message = f"lists and mappings are nested more than {MAX_DEPTH} deep"
            raise _Fatal(Fault(self._place(event.start_mark), "", message))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        return self._mapping(event, depth)

    def _alias(self, event: Any) -> Node:
        place = self._place(event.start_mark)
        known = self._anchors.get(event.anchor, ())
        if known:
            self._counted(known[1], event)
            return known[0]
        name = shown(event.anchor)
        if known is None:
            self._fault(event, f"anchor {name} contains itself", "move the alias out of its anchor")
        else:
            self._fault(
                event,
                f"no anchor {name} is defined before this alias",
                "quote text that begins with *",
            )
        return Scalar(None, "", place, broken=True)

    def _counted(self, number: int, event: Any) -> None:
        self.count += number
        if self.count > MAX_NODES:
            message = f"contains more than {MAX_NODES} values"
            hint = "an alias counts as all values of its anchor"
            raise _Fatal(Fault(self._place(event.start_mark), "", message, hint))

    def _scalar(self, event: Any) -> Scalar:
        start, end = event.start_mark, event.end_mark
        plain = not event.style  # None from PyYAML's own parser, "" from libyaml
        quotes = 1 if event.style in ("'", '"') else 0
        one_line = start.line == end.line
        exact = one_line and end.column - start.column == len(event.value) + 2 * quotes
        place = self._place(start)
        inset = quotes if exact else None
        text = event.value
        value = resolve(text) if plain else text
        if event.tag is None:
            return Scalar(value, text, place, inset)
        return self._tagged(event, Scalar(value, text, place, inset))

    def _tagged(self, event: Any, scalar: Scalar) -> Scalar:
        name = event.tag.removeprefix(_TAG)
        if name in ("!", "str"):
            return replace(scalar, value=scalar.text)
        if name not in _TAG_FITS or not event.tag.startswith(_TAG):
            return self._unknown_tag(event)
        value = resolve(scalar.text)
        fits = type(value) in _TAG_FITS[name]
        if not fits:
            self._fault(event, f"{shown(scalar.text)} does not match its tag !!{name}")
        return replace(scalar, value=value, broken=not fits)

    def _unknown_tag(self, event: Any) -> Scalar:
        tag = event.tag.replace(_TAG, "!!")
        hint = "remove it: only text, numbers, lists and mappings are supported"
        self._fault(event, f"unknown tag {shown(tag)}", hint)
        return Scalar(None, "", self._place(event.start_mark), broken=True)

    def _sequence(self, event: Any, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(inner, depth + 1))
        if event.tag not in (None, "!", _TAG + "seq"):
            return self._unknown_tag(event)
        return SequenceNode(tuple(items), self._place(event.start_mark))

    def _mapping(self, event: Any, depth: int) -> Node:
        entries: dict[str, MappingEntry] = {}
        merged: list[MappingEntry] = []
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            entry = MappingEntry(
                self._place(inner.start_mark), self._node(next(self._events), depth + 1)
            )
            if not isinstance(key, Scalar):
                self._fault(inner, "a key must be text", "quote a key that begins with [ or {")
            elif key.broken:
                continue
            elif key.text == "<<" and key.inset == 0:
                merged.append(entry)
            else:
                self._add(entries, key.text, entry, inner)
        for entry in merged:
            self._merge(entries, entry, event)
        if event.tag not in (None, "!", _TAG + "map"):
            return self._unknown_tag(event)
        return MappingNode(entries, self._place(event.start_mark))

    def _add(
        self, entries: dict[str, MappingEntry], key: str, entry: MappingEntry, event: Any
    ) -> None:
        if (first := entries.get(key)) is None:
            entries[key] = entry
            return
        where = f", first in line {first.key.line}" if first.key else ""
        self._fault(event, f"{shown(key)} occurs twice{where}", "keep one of them")

    def _merge(self, entries: dict[str, MappingEntry], entry: MappingEntry, event: Any) -> None:
        """Apply YAML's merge key: entries here take precedence over merged ones."""
        sources = entry.node.items if isinstance(entry.node, SequenceNode) else (entry.node,)
        for source in sources:
            if isinstance(source, MappingNode):
                for key, inner in source.entries.items():
                    entries.setdefault(key, inner)
            elif not (isinstance(source, Scalar) and source.broken):
                place = entry.key or self._place(event.start_mark)
                self.faults.append(Fault(place, "", "<< merges mappings only", "write <<: *name"))

    def _fault(self, event: Any, message: str, hint: str | None = None) -> None:
        self.faults.append(Fault(self._place(event.start_mark), "", message, hint))

    def _place(self, mark: Any) -> SourcePosition:
        return SourcePosition(self._file, mark.line + 1, mark.column + 1)
