"""Load a cluster file: a Cluster, or every fault with its position.

Owns: finding the file, the order of the steps (read, extend, `--set`, `${…}`, judge), places for
whatever the steps find, and `dump`. Leaves to others: each step (`document`, `extends`,
`interpolate`, `spec` with `wording`, `check`, `python_file`).

Loading a YAML file runs nothing that it says. Loading writes nothing, ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tenfold.base.paths import user_path
from tenfold.base.secrets import remember
from tenfold.cluster import check, check_scripts
from tenfold.cluster.file.document import (
    MappingEntry,
    MappingNode,
    Node,
    Scalar,
    SequenceNode,
    resolve,
)
from tenfold.cluster.file.extends import (
    Merged,
    assign,
    display_name,
    is_nothing,
    merge_bases,
    read_merged,
)
from tenfold.cluster.file.hidden import Hidden
from tenfold.cluster.file.homes import with_homes
from tenfold.cluster.file.interpolate import interpolate
from tenfold.cluster.file.places import Remark, SourcePositions, Where, hides
from tenfold.cluster.file.wording import findings, meant
from tenfold.cluster.spec import Cluster, dumped
from tenfold.errors import (
    MOST_FAULTS,
    Fault,
    InputError,
    Severity,
    SourcePosition,
    path_text,
    shown,
)

FILE = "tenfold.yaml"
SUFFIX = ".tenfold.yaml"

_TEXT_OF_FILE = (("cluster",), ("runs",), ("python",))
_TEXT_OF_JOB = (("run",), ("workdir",), ("env",), ("secret",), ("preload",))
_TEXT_OF_READY = (("ready", "http"), ("ready", "command"), ("ready", "log"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A cluster without faults, and the position of each of its values.

    `places` tells where each value and key was written. Relative paths in the cluster count from
    `directory`, which is absolute. `secrets` are values that no output may show. `homes` are the
    paths that were written with a `~`, expanded; `hidden` knows which secrets are where.
    """

    cluster: Cluster
    file: Path | None
    directory: Path
    places: SourcePositions = field(repr=False, default_factory=SourcePositions)
    warnings: tuple[Fault, ...] = ()
    secrets: frozenset[str] = field(repr=False, default=frozenset())
    homes: Mapping[Where, str] = field(repr=False, default_factory=dict)
    hidden: Hidden = field(repr=False, default_factory=Hidden)

    def fault(self, remark: Remark, severity: Severity = "fault") -> Fault:
        """`remark` with its position, in a form without secrets, for messages."""
        return self.hidden.shown(self.places.fault(remark, severity)).veiled()

    def place(self, path: str) -> SourcePosition | None:
        """The position of the value at `path` (`jobs.worker.tasks`), or None."""
        found = (place for where, place in self.places.values.items() if path_text(where) == path)
        return next(found, None)


def find(directory: Path | None = None) -> Path:
    """The cluster file of `directory` (the current one if None).

    `tenfold.yaml`, or else the only `*.tenfold.yaml`. Raises InputError if there is none, or
    several and no saying which.
    """
    where = directory or Path()
    if os.path.lexists(where / FILE):  # one that is a directory, or leads nowhere, is named, too
        return where / FILE
    try:
        found = sorted(path.name for path in where.iterdir() if path.name.endswith(SUFFIX))
    except OSError as error:
        raise InputError(f"cannot read {where}: {error.strerror}", cause=error) from error
    if len(found) == 1:
        return where / found[0]
    if found:
        listed = ", ".join(display_name(Path(name)) for name in found[:10])
        raise InputError(
            f"several cluster files here: {listed}",
            hint=f"name one of them, or rename it to {FILE}",
        )
    raise InputError(
        f"no {FILE} in this directory", hint="name a file, or create one: tenfold init"
    )


def load(
    file: str | os.PathLike[str] | None = None,
    *,
    settings: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load a cluster file.

    Args:
        file: YAML, or Python (`*.py`) that defines `cluster`; None: see `find`.
        settings: `KEY=VALUE`, as after `--set`; the last one wins.
        environment: what `${env.NAME}` stands for; this process's environment if None.

    Raises InputError with every fault, in the order of their places.
    """
    path = user_path(file, "FILE") if file is not None else find()
    shown_as = display_name(path)
    if path.suffix == ".py":
        from tenfold.cluster.file.python_file import cluster_of

        made = cluster_of(path, shown_as)
        merged = merge_bases(
            _tree(made, SourcePosition(shown_as)), path.absolute().parent, shown_as
        )
    else:
        merged = read_merged(path, shown_as)
    return _judge(merged, shown_as, path.absolute().parent, path, settings, environment)


def from_cluster(
    cluster: Cluster,
    directory: Path,
    *,
    settings: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load a Cluster that Python code created. Its faults have no position."""
    merged = merge_bases(_tree(cluster, None), directory.absolute(), "")
    return _judge(merged, "", directory.absolute(), None, settings, environment)


def loads(
    text: str | bytes,
    *,
    directory: Path | None = None,
    settings: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the text of a file, which cannot extend others."""
    from tenfold.cluster.file.document import read_document
    from tenfold.cluster.file.extends import no_mapping

    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = read_document(data, FILE)
    root = document.root if isinstance(document.root, MappingNode) else None
    faults = list(document.faults)
    if root is None and not faults:
        faults.append(no_mapping(document, FILE))
    merged = Merged(root, faults, {FILE: document.lines})
    return _judge(merged, FILE, (directory or Path()).absolute(), None, settings, environment)


def dump(cluster: Cluster) -> str:
    """YAML that loads as the same cluster, its keys in the order of the specification."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            del data
            return True

    def text(dumper: Dumper, value: str) -> yaml.Node:
        style = None if resolve(value) == value and value not in ("<<", "=") else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return yaml.dump(dumped(cluster), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


# Judging.


def _judge(
    merged: Merged,
    shown_as: str,
    directory: Path,
    file: Path | None,
    settings: Iterable[str],
    environment: Mapping[str, str] | None,
) -> Loaded:
    faults = list(merged.faults)
    if merged.root is None:
        raise _failed(faults, shown_as, SourcePositions(lines=merged.lines))
    root, wrong = assign(merged.root, settings)
    faults += wrong
    known = os.environ if environment is None else environment
    filled = interpolate(root, known)
    remember(filled.hidden.values, filled.hidden.texts)
    homes = with_homes(filled.root, known)
    faults += filled.faults + homes.faults
    plain = _Plain()
    data = plain.table(homes.root, ())
    faults += plain.faults
    places = SourcePositions(plain.values, plain.keys, plain.texts(), merged.lines)
    cluster, dropped = _validated(data, plain, places, faults)
    if cluster is not None:
        remarks = islice(check.remarks(cluster, frozenset(dropped)), MOST_FAULTS)
        faults += [places.fault(remark) for remark in remarks]
    if faults or cluster is None:
        raise _failed([filled.hidden.shown(fault) for fault in faults], shown_as, places)
    loaded = Loaded(
        cluster=cluster,
        file=file,
        directory=directory,
        places=places,
        secrets=frozenset(filled.hidden.values),
        homes=homes.written,
        hidden=filled.hidden,
    )
    every = (
        check.warnings(cluster, directory),
        check_scripts.warnings(cluster, directory),
        filled.remarks,
    )
    found = islice(chain.from_iterable(every), MOST_FAULTS)
    warned = [loaded.fault(remark, "warning") for remark in found]
    return replace(loaded, warnings=tuple(sorted(warned, key=_order(shown_as))))


def _failed(faults: list[Fault], shown_as: str, places: SourcePositions) -> InputError:
    unique = {(fault.place, fault.path, fault.message): fault for fault in faults}
    ordered = sorted(unique.values(), key=_order(shown_as))
    told = [places.with_line(fault) for fault in ordered[:MOST_FAULTS]]
    if rest := len(ordered) - len(told):
        told.append(Fault(None, "", f"and {rest} more faults", "fix these first"))
    return InputError(faults=told)


def _order(shown_as: str) -> Any:
    """The sort key of positions.

    The main file comes first, then the files it extends, then `--set`, then no position.
    """

    def key(fault: Fault) -> tuple[Any, ...]:
        if fault.place is None:
            return (2, "", 0, 0, fault.path)
        place = fault.place
        return (place.file != shown_as, place.file, place.line, place.column, fault.path)

    return key


def _validated(
    data: dict[str, Any], plain: _Plain, places: SourcePositions, faults: list[Fault]
) -> tuple[Cluster | None, set[Where]]:
    """The cluster in `data`. Faults are added to `faults`.

    Faulty values are left out.

    So the rest can still be judged. The second part of the answer is what was left out.
    """
    dropped = set(plain.broken)
    for path in sorted(dropped, key=len):
        _remove(data, path)
    for _ in range(8):
        if len(faults) > MOST_FAULTS:
            return None, dropped
        try:
            return Cluster.model_validate(data), dropped
        except ValidationError as error:
            for found in findings(error, data, plain.got):
                if not _follows(found.path, dropped):
                    faults.append(places.fault(found))
                dropped |= {found.path, meant(found)}
                _remove(data, found.path)
    return None, dropped


def _follows(path: Where, dropped: set[Where]) -> bool:
    """Whether a fault at `path` may only follow from values that were left out."""
    around = (path[:length] for length in range(len(path) + 1))
    within = (other[: len(path)] == path for other in dropped if path)
    return any(outer in dropped for outer in around) or any(within)


_STAND_INS: dict[Where, Any] = {("cluster",): "x", ("jobs",): {"x": {"run": "x"}}}
"""Replacements for faulty values that a cluster cannot do without."""


def _remove(data: Any, path: Where) -> None:
    """Remove the value at `path` from `data`, or replace it by a valid one."""
    parent: Any = data
    for part in path[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return
    if path in _STAND_INS:
        parent[path[-1]] = _STAND_INS[path]
    elif isinstance(parent, list) and isinstance(path[-1], int):
        parent[path[-1]] = "x"
    elif isinstance(parent, dict) and len(path) > 1 and path[-2] == "restart":
        parent.clear()
        parent["policy"] = "never"
    elif isinstance(parent, dict) and len(path) == 2 and path[0] == "jobs":
        if isinstance(parent.get(path[-1]), dict):
            parent.pop(path[-1])
            parent.setdefault("x", {"run": "x"})
        else:
            parent[path[-1]] = {}
    elif isinstance(parent, dict):
        parent.pop(path[-1], None)


# Between nodes and plain values.


class _Plain:
    """Plain values of nodes, with the positions of all of them."""

    def __init__(self) -> None:
        self.values: dict[Where, SourcePosition] = {}
        self.keys: dict[Where, SourcePosition] = {}
        self.broken: set[Where] = set()
        self.faults: list[Fault] = []
        self._written: dict[Where, Scalar] = {}

    def table(self, table: MappingNode, path: Where) -> dict[str, Any]:
        """`table` as a dict."""
        if table.place:
            self.values[path] = table.place
        result: dict[str, Any] = {}
        for key, entry in table.entries.items():
            inner = (*path, key)
            if entry.key:
                self.keys[inner] = entry.key
            if is_nothing(entry.node):
                self._nothing(entry, inner)
            result[key] = self._value(entry.node, inner)
        return result

    def texts(self) -> dict[Where, str]:
        """The text of every single value, as written in the file."""
        return {path: node.text for path, node in self._written.items() if node.place is not None}

    def got(self, path: Where) -> str:
        """The original text at `path`, for messages."""
        scalar = self._written.get(path)
        if scalar is None:
            return "something else"
        if hides(path_text(path)):
            return "a secret"
        if scalar.value is None:
            return "nothing"
        if isinstance(scalar.value, str):
            return shown(scalar.text)
        return shown(scalar.text)[1:-1]

    def _value(self, node: Node, path: Where) -> Any:
        if isinstance(node, MappingNode):
            self._written[path] = Scalar(0, "a mapping")
            return self.table(node, path)
        if node.place:
            self.values[path] = node.place
        if isinstance(node, SequenceNode):
            self._written[path] = Scalar(0, "a list")
            return [self._value(item, (*path, at)) for at, item in enumerate(node.items)]
        self._written[path] = node
        if node.broken:
            self.broken.add(path)
        return node.text if node.value is not None and _is_text(path) else node.value

    def _nothing(self, entry: MappingEntry, path: Where) -> None:
        hint = "write a value, or remove the key"
        if path[0] == "jobs" and len(path) == 2:
            hint = f"write {path[1]}: {{}} for a job with default settings"
        elif len(path) > 1 and path[-2] == "env":
            hint = f'write {path[-1]}: "" for an empty text'
        self.faults.append(Fault(entry.key, path_text(path), "has no value", hint))
        self.broken.add(path)


def _is_text(path: Where) -> bool:
    """Whether a scalar at `path` is always text.

    Even if it looks like `1.10`, `no` or `22:22`.
    """
    if path[0] != "jobs":
        return path in _TEXT_OF_FILE or (path[0] == "env" and len(path) == 2)
    inner = path[4:] if path[2:3] == ("overrides",) else path[2:]
    return (inner[:1] in _TEXT_OF_JOB and len(inner) < 3) or inner in _TEXT_OF_READY


def _tree(cluster: Cluster, place: SourcePosition | None) -> MappingNode:
    """The nodes of a file with the same contents as `cluster`."""
    made = _node(dumped(cluster), place)
    assert isinstance(made, MappingNode)
    return made


def _node(value: Any, place: SourcePosition | None) -> Node:
    if isinstance(value, dict):
        entries = {str(key): MappingEntry(place, _node(item, place)) for key, item in value.items()}
        return MappingNode(entries, place)
    if isinstance(value, list):
        return SequenceNode(tuple(_node(item, place) for item in value), place)
    if isinstance(value, bool):
        return Scalar(value, "true" if value else "false", place)
    return Scalar(value, "" if value is None else str(value), place)
