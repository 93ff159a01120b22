"""Expand `~` in the paths of a cluster file.

Owns: which values are paths. Leaves to others: what a `~` means (`base.paths`) and the directory
that a relative path counts from (`planner`).

A mount and a build context keep a plain `~`: the machine where the image is built and the
container started has homes of its own, and Docker looks there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tenfold.base.paths import PathError, expanded
from tenfold.cluster.cell_settings import CELL_SETTINGS
from tenfold.cluster.file.document import MappingEntry, MappingNode, Node, Scalar, SequenceNode
from tenfold.cluster.file.places import Where
from tenfold.cluster.template import written
from tenfold.errors import Fault, path_text

_PATHS = (
    ("runs",),
    ("python",),
    ("build",),
    ("build", "context"),
    ("build", "dockerfile"),
    ("jobs", "*", "workdir"),
    ("jobs", "*", "overrides", "*", "workdir"),
    *(("cells", cell, key) for cell, model in CELL_SETTINGS.items() for key in model.paths),
)
_PREFIXES = {pattern[:length] for pattern in _PATHS for length in range(len(pattern))}


@dataclass(slots=True)
class Homes:
    """`root` with the home directories.

    `written` are the paths that began with a `~`.
    """

    root: MappingNode
    faults: list[Fault] = field(default_factory=list)
    written: dict[Where, str] = field(default_factory=dict)


def with_homes(root: MappingNode, environment: Mapping[str, str]) -> Homes:
    """`root` with every path in it expanded.

    A path that cannot be expanded is marked as broken and is a fault.
    """
    result = Homes(root)
    result.root = _table(root, (), (), lambda node, at: _scalar(node, at, environment, result))
    return result


_Change = Callable[[Scalar, Where], Scalar]


def _table(
    table: MappingNode, pattern: tuple[str, ...], path: Where, change: _Change
) -> MappingNode:
    entries: dict[str, MappingEntry] = {}
    for key, entry in table.entries.items():
        inner = (*pattern, "*") if (*pattern, "*") in _PREFIXES else (*pattern, key)
        entries[key] = MappingEntry(entry.key, _node(entry.node, inner, (*path, key), change))
    return MappingNode(entries, table.place)


def _node(node: Node, pattern: tuple[str, ...], path: Where, change: _Change) -> Node:
    if isinstance(node, MappingNode):
        return _table(node, pattern, path, change) if pattern in _PREFIXES else node
    if pattern not in _PATHS:
        return node
    if isinstance(node, SequenceNode):
        items = (_node(item, pattern, (*path, at), change) for at, item in enumerate(node.items))
        return SequenceNode(tuple(items), node.place)
    return change(node, path) if isinstance(node.value, str) and not node.broken else node


def _scalar(node: Scalar, path: Where, environment: Mapping[str, str], result: Homes) -> Scalar:
    text = node.text
    try:
        new = _mount(text, environment) if path[0] == "cells" else _path(text, path, environment)
    except PathError as error:
        result.faults.append(Fault(node.place, path_text(path), str(error), error.hint))
        return replace(node, broken=True)
    if new == text:
        return node
    result.written[path] = new
    return replace(node, value=new, text=new, inset=None)


def _path(text: str, path: Where, environment: Mapping[str, str]) -> str:
    new = expanded(text, environment, in_file=True)
    if new == text or (path[0] == "build" and _is_plain(text)):
        return text
    home = new[: len(new) - len(text.partition("/")[2])]
    return written((home,)) + new[len(home) :]


def _mount(text: str, environment: Mapping[str, str]) -> str:
    host, colon, rest = text.partition(":")
    there = rest.partition(":")[0] if colon else host
    if there.startswith("~"):
        message = "~ cannot be used inside a container"
        raise PathError(message, f"write HOST:CONTAINER, as in {host}:/data")
    new = expanded(host, environment, in_file=True)
    return text if _is_plain(host) else new + colon + rest


def _is_plain(path: str) -> bool:
    return path == "~" or path.startswith("~/")
