"""Names and first docstring lines: what a reader sees before anything else."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "tenfold"
LEAST_WORDS = 3
MOST_CHARACTERS = 80

GENERATED_FROM = (
    "cluster/spec.py",
    "cluster/cell_settings.py",
    "cluster/notify.py",
    "cluster/units.py",
)
"""Docstrings of these, and of the cells' settings, are sentences of docs/file.md."""


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


def docstrings(path: Path) -> list[ast.Constant]:
    """Docstrings of a module, its classes, functions and attributes, without help texts."""
    return [
        statement.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(body := getattr(node, "body", None), list) and not is_command(node)
        for statement in body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]


def is_command(node: ast.AST) -> bool:
    """Whether click shows the docstring of a function as its help."""
    return any("click." in ast.unparse(one) for one in getattr(node, "decorator_list", []))


def test_the_first_line_of_a_docstring_has_at_most_80_characters() -> None:
    long = [
        f"{module}:{docstring.lineno} has {len(first)} characters: {first}"
        for path in sorted(SOURCE.rglob("*.py"))
        if (module := path.relative_to(SOURCE).as_posix()) not in GENERATED_FROM
        and not (module.startswith("cells/") and path.name == "settings.py")
        for docstring in docstrings(path)
        if len(first := inspect.cleandoc(str(docstring.value)).partition("\n")[0]) > MOST_CHARACTERS
    ]
    assert long == []
