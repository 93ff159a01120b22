"""The table of states, and that nobody else spells it out."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from tenfold.run.states import BAD, LIVE, OF_RUNS, OF_TASKS, TERMINAL, UNSTARTED, State

SOURCE = Path(__file__).parents[2] / "src" / "tenfold"


def test_a_task_is_unstarted_or_live_or_at_an_end() -> None:
    assert sorted([*UNSTARTED, *LIVE, *TERMINAL]) == sorted(State)
    assert BAD < TERMINAL
    assert [s for s in State if s.is_terminal] == [s for s in State if s in TERMINAL]
    assert State.RUNNING.is_live
    assert State.LOST.is_bad


def test_a_state_is_written_and_compared_as_its_value() -> None:
    assert json.dumps({"state": State.LOST}) == '{"state": "lost"}'
    assert f"{State.LOST}" == "lost"
    assert "lost" in TERMINAL
    assert "gone" not in TERMINAL


def test_a_run_is_never_lost() -> None:
    assert State.LOST in OF_TASKS
    assert State.LOST not in OF_RUNS


def test_no_module_compares_a_state_with_a_text() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and _is_state(node.left) and _texts(node) & {*State}:
                found.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert found == []


def _texts(node: ast.Compare) -> set[object]:
    inside = (one for right in node.comparators for one in ast.walk(right))
    return {one.value for one in inside if isinstance(one, ast.Constant)}


def _is_state(node: ast.expr) -> bool:
    """Whether `node` is called `….state`, `….phase`, `….outcome`, or `…["state"]`."""
    names = {"state", "phase", "outcome"}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value in names
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        return isinstance(node.func, ast.Attribute) and node.args[0].value in names
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", None)
    return name in names
