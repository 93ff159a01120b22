"""Test names are sentences that state what holds."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).parent
LEAST_WORDS = 3


def test_every_test_name_has_at_least_three_words() -> None:
    short = [
        f"{path.relative_to(TESTS)}:{node.lineno} {node.name}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len(node.name.removeprefix("test_").split("_")) < LEAST_WORDS
    ]
    assert short == []
