"""One mapping out of several files, and out of `--set`.

Owns: following `extends`, its circles and missing files, what merging means, and `--set K=V`.
Leaves to others: reading one file (`document`) and judging what comes out (`load`).

A file may build on files of its own project alone: messages show lines of the files they are about,
and a cluster file may be somebody else's.

Merging: mappings are merged key by key, lists and single values are replaced, null removes what is
there; the later file wins. Every value keeps the place where it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenfold.base.nearest import did_you_mean, nearest
from tenfold.base.paths import PathError, expanded
from tenfold.base.secrets import HIDDEN, is_secret
from tenfold.cluster.file.document import (
    MAX_NODES,
    Document,
    MappingEntry,
    MappingNode,
    Node,
    Scalar,
    SequenceNode,
    compose,
    read_bytes,
    read_document,
)
from tenfold.errors import Fault, InputError, SourcePosition, path_text, shown

OUTSIDE = "TENFOLD_EXTENDS"
"""The variable that allows files to extend files outside of their project.

Its value is then `anywhere`.
"""

_PROJECT_MARKS = (".git", ".hg", ".svn", ".jj")

MAX_FILES = 20
"""Most files that one cluster may be made of."""


@dataclass(slots=True)
class Merged:
    """`root` is None if the main file cannot be used at all.

    `lines` are those of every file.
    """

    root: MappingNode | None
    faults: list[Fault] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)


def read_merged(path: Path, shown_as: str) -> Merged:
    """The file at `path` with all that it extends.

    Raises InputError if `path` itself cannot be read; any other trouble is among the faults.
    """
    data = read_bytes(path, shown_as)
    reader = _ExtendsReader(path.resolve().parent)
    root = reader.merged(read_document(data, shown_as), path, shown_as, [path.resolve()])
    return Merged(root, reader.faults, reader.lines)


def merge_bases(root: MappingNode, directory: Path, shown_as: str) -> Merged:
    """`root`, which Python code made, with the files that it extends."""
    reader = _ExtendsReader(directory.resolve())
    path = directory / Path(shown_as).name
    return Merged(reader.extended(root, path, shown_as, [path]), reader.faults, reader.lines)


def project_of(directory: Path) -> Path:
    """The checkout that contains a directory, or the directory itself.

    The directory's path has no links.
    """
    for place in (directory, *directory.parents):
        if any((place / mark).exists() for mark in _PROJECT_MARKS):
            return place
    return directory


class _ExtendsReader:
    def __init__(self, home: Path) -> None:
        """`home` is where the outermost file is."""
        self._project = None if os.environ.get(OUTSIDE) == "anywhere" else project_of(home)
        self.faults: list[Fault] = []
        self.lines: dict[str, list[str]] = {}
        self._done: dict[Path, MappingNode | None] = {}
        self._size = 0

    def merged(
        self, document: Document, path: Path, shown_as: str, open_files: list[Path]
    ) -> MappingNode | None:
        self._size += document.size
        self.lines[shown_as] = document.lines
        self.faults += document.faults
        if isinstance(document.root, MappingNode):
            return self.extended(document.root, path, shown_as, open_files)
        if not document.faults:
            self.faults.append(no_mapping(document, shown_as))
        return None

    def extended(
        self, root: MappingNode, path: Path, shown_as: str, open_files: list[Path]
    ) -> MappingNode:
        entry = root.entries.get("extends")
        if entry is None:
            return root
        base = MappingNode({}, root.place)
        for position, name in enumerate(_names(entry.node)):
            where = ("extends",) if isinstance(entry.node, Scalar) else ("extends", position)
            inner = self._base(name, path_text(where), path, shown_as, open_files)
            base = merge(base, inner) if inner else base
        return merge(base, root)

    def _base(
        self, name: Scalar, where: str, path: Path, shown_as: str, open_files: list[Path]
    ) -> MappingNode | None:
        fault, text = _unfit(name)
        target = path.parent / text if not fault else path
        resolved = target.resolve() if not fault else path
        if not fault and self._project and not resolved.is_relative_to(self._project):
            hint = f"use files in {self._project}, or set {OUTSIDE}=anywhere to allow all"
            words = f"{shown(name.text)} is outside the project"
            self.faults.append(Fault(name.place, where, words, hint))
            return None
        if resolved in open_files and not fault:
            circle = [file.name for file in [*open_files[open_files.index(resolved) :], resolved]]
            fault = f"files extend each other in a cycle: {' → '.join(circle)}"
        if resolved in self._done and not fault:
            return self._done[resolved]
        if len(self._done) >= MAX_FILES and not fault:
            fault = f"a cluster can consist of at most {MAX_FILES} files"
        if self._size > MAX_NODES and not fault:
            fault = f"the files contain more than {MAX_NODES} values in total"
        if fault:
            self.faults.append(Fault(name.place, where, fault))
            return None
        self._done[resolved] = None
        display = os.path.normpath(Path(shown_as).parent / text)
        try:
            document = read_document(read_bytes(target, display), display)
        except InputError as error:
            hint = _nearest_file(target) or "the path is relative to the directory of this file"
            self.faults.append(Fault(name.place, where, error.message, error.hint or hint))
            return None
        self._done[resolved] = self.merged(document, target, display, [*open_files, resolved])
        return self._done[resolved]


def no_mapping(document: Document, shown_as: str) -> Fault:
    """The fault of a document that is no mapping."""
    hint = "begin with these lines:\ncluster: my-cluster\njobs:\n  worker: {run: python train.py}"
    if document.root is None or (isinstance(document.root, Scalar) and not document.root.text):
        return Fault(SourcePosition(shown_as, 1, 1), "", "the file is empty", hint)
    kind = "a list" if isinstance(document.root, SequenceNode) else "a single text"
    return Fault(document.root.place, "", f"expected a mapping of keys, got {kind}", hint)


def _names(node: Node) -> list[Scalar]:
    """The files that `extends` names.

    Values that are not text are reported by the check of the whole.
    """
    nodes = node.items if isinstance(node, SequenceNode) else (node,)
    found = [item for item in nodes if isinstance(item, Scalar) and not item.broken]
    return [item for item in found if isinstance(item.value, str)]


def _unfit(name: Scalar) -> tuple[str | None, str]:
    """Why a name is not one of a file to build on, if so, and the path that it means."""
    if not name.text or "\0" in name.text or len(name.text) > 4096:
        return "not the name of a file", ""
    if "${" in name.text:
        return "extends is read before vars and cannot contain ${…}", ""
    if name.text.endswith(".py"):
        return "a YAML file cannot extend a Python file, because loading YAML must not run code", ""
    try:
        return None, expanded(name.text)
    except PathError as error:
        return str(error), ""


def _nearest_file(target: Path) -> str | None:
    try:
        names = [entry.name for entry in list(target.parent.iterdir())[:1000]]
    except (OSError, ValueError):
        return None
    return did_you_mean(target.name, names)


def merge(base: MappingNode, over: MappingNode) -> MappingNode:
    """`base` with the values of `over` in place of its own."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        old = entries.get(key)
        if old is None:
            entries[key] = entry
        elif is_nothing(entry.node):
            del entries[key]
        elif isinstance(old.node, MappingNode) and isinstance(entry.node, MappingNode):
            entries[key] = MappingEntry(entry.key, merge(old.node, entry.node))
        else:
            entries[key] = entry
    return MappingNode(entries, over.place)


def is_nothing(node: Node) -> bool:
    """Whether the value is null (and not merely faulty)."""
    return isinstance(node, Scalar) and node.value is None and not node.broken


def assign(root: MappingNode, settings: Iterable[str]) -> tuple[MappingNode, list[Fault]]:
    """`root` with every `KEY=VALUE` set, and the faults found.

    Later settings take precedence.
    """
    faults: list[Fault] = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        told = setting_shown(setting)
        place = SourcePosition(f"--set {told}" if len(told) < 200 else f"--set {told[:200]}…")
        path = key.strip().split(".")
        if not equals or not all(path):
            hint = "as in --set jobs.worker.tasks=16 or --set vars.epochs=3"
            faults.append(Fault(place, "", "expected KEY=VALUE", hint))
            continue
        problem = _unknown_name(root, path)
        value = _set_value(text, place)
        if isinstance(value, Fault):
            faults.append(replace(value, path=path_text(path)))
        elif problem:
            faults.append(Fault(place, path_text(path), *problem))
        else:
            root = merge(root, _nested(path, value, place))
    return root, faults


def setting_shown(setting: str) -> str:
    """`KEY=VALUE` as messages show it: without the value of a secret."""
    key, equals, _ = setting.partition("=")
    return f"{key}={HIDDEN}" if equals and is_secret(key.rpartition(".")[2]) else setting


def _set_value(text: str, place: SourcePosition) -> Node | Fault:
    """The value as YAML; nothing at all is the empty text."""
    if not text.strip():
        return Scalar("", "", place)
    document = compose(text, place.file)
    if document.faults:
        return replace(document.faults[0], place=place)
    if document.root is None:
        return Scalar(text, text, place)
    return _placed(document.root, place)


def _placed(node: Node, place: SourcePosition) -> Node:
    """`node` with `place` for all its positions. A command line has no lines."""
    if isinstance(node, MappingNode):
        entries = {
            key: MappingEntry(place, _placed(e.node, place)) for key, e in node.entries.items()
        }
        return MappingNode(entries, place)
    if isinstance(node, SequenceNode):
        return SequenceNode(tuple(_placed(item, place) for item in node.items), place)
    return replace(node, place=place, inset=None)


def _unknown_name(root: MappingNode, path: Sequence[str]) -> tuple[str, str | None] | None:
    """Names that `--set` must not make up: a typing error would be silent."""
    if len(path) < 2 or (path[0], len(path)) == ("jobs", 2) or path[0] not in ("jobs", "vars"):
        return None
    known = root.entries.get(path[0])
    names = list(known.node.entries) if known and isinstance(known.node, MappingNode) else []
    if path[1] in names:
        return None
    near = nearest(path[1], names)
    kind = "job" if path[0] == "jobs" else "var"
    hint = f"{kind}s here: {', '.join(names[:20])}" if names else f"the file has no {path[0]}"
    return (
        f"there is no {kind} {shown(path[1])}",
        f"did you mean {path[0]}.{near}?" if near else hint,
    )


def _nested(path: Sequence[str], value: Node, place: SourcePosition) -> MappingNode:
    for key in reversed(path):
        value = MappingNode({key: MappingEntry(place, value)}, place)
    assert isinstance(value, MappingNode)
    return value


def display_name(path: Path) -> str:
    """The path as typed, but without control characters, for messages."""
    return re.sub(r"[\x00-\x1f\x7f]", "�", str(path))
