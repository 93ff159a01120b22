"""What of a syntax tree is known without running it.

Owns: the names under which a file has `os.environ` and other things (`Names`), and the values of
simple expressions: texts, and paths that are made from `__file__`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_OF_OS = ("environ", "environb", "putenv", "unsetenv", "sched_setaffinity")
"""What `from os import *` brings that matters here."""

_ENVIRONS = ("os.environ", "os.environb")


class Names:
    """The full names of what a file imports or assigns.

    For example, `e` may be `os.environ` in it.
    """

    def __init__(self, tree: ast.AST) -> None:
        self._known: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.partition(".")[0]
                    self._known[alias.asname or first] = alias.name if alias.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self._known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                if node.module == "os" and node.names[0].name == "*":
                    self._known |= {name: f"os.{name}" for name in _OF_OS}
        for target, value in _assigned(tree):
            if self.full(value) in (*_ENVIRONS, "os", "sys", "sys.path", "sys.modules"):
                self._known[target] = self.full(value)

    def full(self, node: ast.AST | None) -> str:
        """`os.environ.update` of an expression that means it; empty for what has no name."""
        if isinstance(node, ast.Name):
            return self._known.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (before := self.full(node.value)):
            return f"{before}.{node.attr}"
        if isinstance(node, ast.Call) and self.full(node.func) == "getattr" and len(node.args) > 1:
            name = text_of(node.args[1])
            return f"{self.full(node.args[0])}.{name}" if name else ""
        if isinstance(node, ast.Call) and self.full(node.func) == "__import__" and node.args:
            return text_of(node.args[0]) or ""
        return ""

    def is_environ(self, node: ast.AST | None) -> bool:
        """Whether an expression is the process's environment itself, and no copy."""
        return self.full(node) in _ENVIRONS


def _assigned(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets: list[ast.expr] = [node.target]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        else:
            continue
        assert node.value is not None
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value


def text_of(node: ast.AST | None) -> str | None:
    """The text that an expression surely is; None if it may be another one."""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        return value if isinstance(value, str) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "str":
        only = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if isinstance(only, ast.Constant) and isinstance(only.value, (str, int, float)):
            return str(only.value)
        return None
    if isinstance(node, ast.JoinedStr):
        parts = [text_of(part) for part in node.values]
        return None if None in parts else "".join(part for part in parts if part is not None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None or right is None else left + right
    return None


def path_of(node: ast.AST, names: Names, file: Path, workdir: Path) -> str | None:
    """The path that an expression surely is, or None.

    It is a text, or made of `__file__` and `os.getcwd()`.
    """
    found = _Paths(names, file, workdir).of(node)
    return None if found is None else str(found)


class _Paths:
    def __init__(self, names: Names, file: Path, workdir: Path) -> None:
        self._names, self._file, self._workdir = names, file, workdir

    def of(self, node: ast.AST) -> str | None:
        text = text_of(node)
        if text is not None:
            return text
        if isinstance(node, ast.Name):
            return str(self._file) if node.id == "__file__" else None
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            return self._one(os.path.dirname, node.value)
        if isinstance(node, ast.Subscript):
            return self._ancestor(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Add)):
            left, right = self.of(node.left), self.of(node.right)
            if left is None or right is None:
                return None
            return os.path.join(left, right) if isinstance(node.op, ast.Div) else left + right  # noqa: PTH118
        return self._called(node) if isinstance(node, ast.Call) else None

    def _one(self, made: Callable[[str], str], node: ast.AST) -> str | None:
        found = self.of(node)
        return None if found is None else made(found)

    def _ancestor(self, node: ast.Subscript) -> str | None:
        """`Path(…).parents[1]`."""
        of, index = node.value, node.slice
        if not (isinstance(of, ast.Attribute) and of.attr == "parents"):
            return None
        found = self.of(of.value)
        if found is None or not isinstance(index, ast.Constant) or not isinstance(index.value, int):
            return None
        parents = Path(found).parents
        return str(parents[index.value]) if 0 <= index.value < len(parents) else None

    def _called(self, node: ast.Call) -> str | None:
        name = self._names.full(node.func)
        if name in ("os.getcwd", "pathlib.Path.cwd"):
            return str(self._workdir)
        if isinstance(node.func, ast.Attribute) and not node.args:
            if node.func.attr in ("resolve", "absolute"):
                return self._one(self._absolute, node.func.value)
            if node.func.attr in ("as_posix", "__str__"):
                return self.of(node.func.value)
        made = [self.of(argument) for argument in node.args]
        known = [one for one in made if one is not None]
        if len(known) != len(made) or not known or node.keywords:
            return None
        if name in ("os.path.join", "pathlib.Path"):
            return os.path.join(*known)  # noqa: PTH118
        if name in ("os.path.abspath", "os.path.realpath", "os.path.normpath"):
            return self._absolute(known[0])
        if name == "os.path.dirname":
            return os.path.dirname(known[0])  # noqa: PTH120
        return known[0] if name in ("str", "os.fspath") else None

    def _absolute(self, path: str) -> str:
        return os.path.normpath(self._workdir / path)
