"""Only `state` and `reconcile` change the state of a run: the source of all others is searched."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import tenfold.supervise
from tenfold.supervise.state import ClusterState, TaskState

FOLDER = Path(tenfold.supervise.__file__).parent
OWNERS = {"state.py", "reconcile.py"}
"""What may change states: by an observation, and by a decision."""

FIELDS = {field.name for kind in (TaskState, ClusterState) for field in fields(kind)}
CHANGES = {
    name
    for kind in (TaskState, ClusterState)
    for name, value in vars(kind).items()
    if callable(value) and not name.startswith(("_", "observe_", "ask_")) and name not in FIELDS
} - {"of", "job"}
"""Methods that carry out a decision: `begin_stop`, `give_up`, `start_again`."""

MUTATORS = {"append", "clear", "extend", "insert", "pop", "remove", "add", "update", "setdefault"}


def _is_own(node: ast.expr) -> bool:
    """`self.x`: an attribute of another class that has the same name."""
    return isinstance(node, ast.Name) and node.id == "self"


def _field(node: ast.expr) -> str | None:
    """The field of a state that an expression such as `state.phase` names."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute) and not _is_own(node.value) and node.attr in FIELDS:
        return node.attr
    return None


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            for target in targets:
                yield from target.elts if isinstance(target, ast.Tuple) else [target]
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield target
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in MUTATORS:
            yield value


def changes(source: str) -> list[str]:
    """What a module changes of a state: fields that it sets, and methods that it calls."""
    found = []
    for node in ast.walk(ast.parse(source)):
        found += [name for target in _targets(node) if (name := _field(target))]
        match node:
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in CHANGES:
                found.append(attr)
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_only_state_and_reconcile_change_the_state_of_a_run(path: Path) -> None:
    found = changes(path.read_text())
    assert bool(found) == (path.name in OWNERS), found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("state.phase = 'failed'", ["phase"]),
        ("state.phase, state.pid = 'waiting', None", ["phase", "pid"]),
        ("state.restarts += 1", ["restarts"]),
        ("self._state.kill = True", ["kill"]),
        ("again[0].retried.append(now)", ["retried"]),
        ("self.state.begin_stop('failed', 'why', now)", ["begin_stop"]),
        ("state.start_again(now)", ["start_again"]),
        ("self._state.observe_ready(name, now)", []),
        ("self._state.ask_stop('down', now)", []),
        ("phase = state.phase", []),
    ],
)
def test_a_change_of_a_state_is_found_in_the_source(line: str, found: list[str]) -> None:
    assert changes(line) == found
