"""Find actions of a command's files that an import may look at.

They set variables, `sys.path`, and the like.

Owns finding it, in the order in which it runs, with what is known of it. Leaves to others: which
variables matter (`frameworks`), and what follows for a task (`launch.preloads`, `check_scripts`).

In doubt an action is reported and is not `sure`. It is sure if it runs, with a text that is known,
before anything is imported that could import a framework: at the top of the script, or of a local
module that is imported there.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tenfold.cluster.programs import python_command
from tenfold.cluster.scripts.doubts import Doubts
from tenfold.cluster.scripts.sources import (
    PythonSource,
    mains_of,
    module_files,
    roots_of,
    source,
    stamp,
)
from tenfold.cluster.scripts.trees import Names, path_of, text_of

_MOST_FILES = 200

_HARMLESS = frozenset(sys.stdlib_module_names) | {"__future__"}
"""What imports no framework."""

_SETS_ANY = re.compile(r"(?:^|\.)(?:load_dotenv|read_env|load_env)$")
"""Calls that set variables from a file: python-dotenv, environs, django-environ."""

_IMPORTERS = ("import_module", "__import__", "run_module")
_AFFINITY = "os.sched_setaffinity"
_SETENV = ("setenv", "putenv", "unsetenv")
_OS_SETENV = ("os.putenv", "os.unsetenv")


_CODE = re.compile(r"\b(?:environ\s*\[|environ\.update|putenv\()")
"""Code in a text, for `exec`."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something a file does.

    Attributes:
        words: what, after the file's name: `sets JAX_ENABLE_X64`.
        file, line: where.
        variable: the one it sets or removes; None if that is not known, or it is about something
            else.
        value: what the variable is then; None if that is not known.
        sure: see the module.
        default: only where the variable has no value yet (`setdefault`).
        about: what it changes.
        paths: directories that it puts before others on `sys.path`.
        imported: packages that were surely imported before it.
    """

    words: str
    file: Path
    line: int
    variable: str | None = None
    value: str | None = None
    sure: bool = False
    default: bool = False
    about: str = "environment"
    paths: tuple[str, ...] = ()
    imported: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """`train.py:3`."""
        return f"{self.file.name}:{self.line}"


def actions(
    command: tuple[str, ...], workdir: Path, environment: Mapping[str, str]
) -> tuple[Action, ...]:
    """What the files of a command do, in order. Empty for non-Python commands.

    `environment` is what the command gets: PYTHONPATH counts, and PYTHONSAFEPATH.
    """
    return _read(command, workdir, environment)[1]


def files_read(
    command: tuple[str, ...], workdir: Path, environment: Mapping[str, str]
) -> tuple[Path, ...]:
    """The files that `actions` reads: the script, and its local imports."""
    return _read(command, workdir, environment)[0]


def _read(
    command: tuple[str, ...], workdir: Path, environment: Mapping[str, str]
) -> tuple[tuple[Path, ...], tuple[Action, ...]]:
    python = python_command(command)
    if python is None:
        return (), ()
    roots = roots_of(python, workdir, environment)
    key = (command, workdir, roots)
    known = _KNOWN.get(key)
    if known is not None and all(stamp(file) == mark for file, mark in known[0]):
        return tuple(file for file, _ in known[0]), known[1]
    reader = _ScriptReader(workdir, roots)
    for main, sure in mains_of(python, workdir, roots):
        reader.read(main, sure=sure)
    found = tuple(reader.found)
    if len(_KNOWN) < _MOST_KNOWN:
        _KNOWN[key] = (tuple((file, stamp(file)) for file in reader.seen), found)
    return tuple(reader.seen), found


_MOST_KNOWN = 1000
_KNOWN: dict[object, tuple[tuple[tuple[Path, object], ...], tuple[Action, ...]]] = {}
"""Earlier results, with the files as they were then.

The tasks of a job run the same files.
"""


class _ScriptReader:
    """Reads files in the order in which they run."""

    def __init__(self, workdir: Path, roots: tuple[Path, ...]) -> None:
        self.roots = roots
        self.found: list[Action] = []
        self._workdir = workdir
        self.seen: dict[Path, None] = {}
        self._early = True
        """Nothing was imported yet that could import a framework."""
        self._imported: frozenset[str] = frozenset()

    def read(self, main: PythonSource, *, sure: bool) -> None:
        """Take in a file; `sure`: it is known to run."""
        if main.file in self.seen or len(self.seen) >= _MOST_FILES:
            return
        self.seen[main.file] = None
        found = _ScriptFile(main, self._workdir, first=len(self.seen) == 1)
        for statement in main.tree.body:
            nodes = list(ast.walk(statement))
            certain = sure and not any(isinstance(node, _MAYBE) for node in nodes)
            for node in nodes:
                self._imports(node, main, sure=certain)
                for action in found.actions(node, sure=certain and self._early):
                    self._add(action)
                for file in found.scripts_named(node):
                    self._file(file, sure=False)

    def _add(self, action: Action) -> None:
        self.found.append(replace(action, imported=self._imported))
        self.roots = (*(Path(path) for path in action.paths), *self.roots)

    def _imports(self, node: ast.AST, main: PythonSource, *, sure: bool) -> None:
        for name, optional in _imported(node, main, self.roots):
            if name.partition(".")[0] == "tenfold":  # even where PYTHONPATH has its source
                continue
            files = module_files(name, self.roots)
            for file in files:
                self._file(file, sure=sure)
            if not files and not optional and name.partition(".")[0] not in _HARMLESS:
                self._early = False
                if sure:
                    self._imported |= {name.partition(".")[0]}

    def _file(self, file: Path, *, sure: bool) -> None:
        if file not in self.seen and (made := source(file)) is not None:
            self.read(made, sure=sure)


_MAYBE = (
    ast.If,
    ast.Try,
    ast.TryStar,
    ast.For,
    ast.While,
    ast.Match,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.With,
    ast.IfExp,
    ast.BoolOp,
    ast.Lambda,
    ast.comprehension,
)
"""Statements and expressions whose parts run conditionally or repeatedly.

Nobody knows which part runs, when, or how often.
"""


def _imported(
    node: ast.AST, main: PythonSource, roots: tuple[Path, ...]
) -> Iterator[tuple[str, bool]]:
    """Modules that a node imports, by full name.

    The second value is True if the name may only be a name in a module.
    """
    if isinstance(node, ast.Import):
        yield from ((alias.name, False) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node, main, roots)
        if base:
            yield base, False
        for alias in node.names:
            yield f"{base}.{alias.name}" if base else alias.name, True
    elif isinstance(node, ast.Call) and _last(node.func) in _IMPORTERS and node.args:
        yield text_of(node.args[0]) or "", False


def _absolute(node: ast.ImportFrom, main: PythonSource, roots: tuple[Path, ...]) -> str:
    """The module that `from .a import b` is about.

    It comes from the first root that holds the file.
    """
    if not node.level:
        return node.module or ""
    package = main.file.parent
    for _ in range(node.level - 1):
        package = package.parent
    for root in roots:
        if package.is_relative_to(root):
            parts = [*package.relative_to(root).parts, *((node.module or "").split("."))]
            return ".".join(part for part in parts if part)
    return node.module or ""


class _ScriptFile:
    """What the nodes of one file do."""

    def __init__(self, main: PythonSource, workdir: Path, *, first: bool) -> None:
        self._main = main
        self._workdir = workdir
        self._names = Names(main.tree)
        self._doubts = Doubts(main.tree, self._names, exports=not first)
        self._shown = {id(one.value) for one in ast.walk(main.tree) if isinstance(one, ast.Expr)}
        """Texts that are statements, docstrings: they show code that nobody runs."""

    def actions(self, node: ast.AST, *, sure: bool) -> Iterator[Action]:
        """Of one node, not of those in it."""
        line = getattr(node, "lineno", 0)
        for words, more in self._of(node):
            certain = bool(more.pop("certain", False))
            yield Action(words, self._main.file, line, sure=sure and certain, **more)  # type: ignore[arg-type]
        for words in self._doubts.of(node):
            yield Action(words, self._main.file, line, about="doubt")

    def _of(self, node: ast.AST) -> Iterator[_Found]:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from self._assigned(target, node)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and self._names.is_environ(target.value):
                    yield _removed(text_of(target.slice))
        elif isinstance(node, ast.Call):
            yield from self._called(node)
        elif self._is_code(node):
            yield "contains code in a text that sets variables", {}

    def _is_code(self, node: ast.AST) -> bool:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        return is_text and id(node) not in self._shown and bool(_CODE.search(node.value))  # type: ignore[attr-defined]

    def _assigned(
        self, target: ast.AST, node: ast.Assign | ast.AnnAssign | ast.AugAssign
    ) -> Iterator[_Found]:
        names = self._names
        if isinstance(target, ast.Subscript) and names.is_environ(target.value):
            plain = not isinstance(node, ast.AugAssign)
            yield _set(text_of(target.slice), text_of(node.value) if plain else None)
        elif isinstance(target, ast.Subscript) and names.full(target.value) == "sys.modules":
            yield "replaces a module in sys.modules", {"about": "modules"}
        elif isinstance(target, ast.Attribute) and names.is_environ(target):
            added = isinstance(node, ast.AugAssign)
            yield from self._many(node.value) if added else [_set(None, None)]
        elif isinstance(target, ast.Name) and names.is_environ(target):
            if isinstance(node, ast.AugAssign):
                yield from self._many(node.value)
        elif (
            isinstance(target, (ast.Attribute, ast.Subscript))
            and names.full(target.value if isinstance(target, ast.Subscript) else target)
            == "sys.path"
        ):
            if not isinstance(node, ast.AugAssign):  # that adds at the end, and hides nothing
                yield from self._path(node.value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for one in target.elts:
                if isinstance(one, ast.Subscript) and names.is_environ(one.value):
                    yield _set(text_of(one.slice), None)

    def _many(self, node: ast.AST | None) -> Iterator[_Found]:
        """What is set from a mapping."""
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    yield from self._many(value)
                else:
                    yield _set(text_of(key), text_of(value))
        elif isinstance(node, ast.Call) and self._names.full(node.func) == "dict":
            yield from self._arguments(node)
        else:
            yield _set(None, None)

    def _arguments(self, node: ast.Call) -> Iterator[_Found]:
        for argument in node.args:
            yield from self._many(argument)
        for keyword in node.keywords:
            if keyword.arg is None:
                yield from self._many(keyword.value)
            else:
                yield _set(keyword.arg, text_of(keyword.value))

    def _called(self, node: ast.Call) -> Iterator[_Found]:
        name = self._names.full(node.func)
        holder = node.func.value if isinstance(node.func, ast.Attribute) else None
        if self._names.is_environ(holder):
            yield from self._on_environ(node, name.rpartition(".")[2])
        elif _last(node.func) in _SETENV or name in _OS_SETENV:
            yield _set(text_of(node.args[0]) if node.args else None, None)
        elif _SETS_ANY.search(name or _last(node.func)):
            yield "sets variables from a file", {}
        elif name.endswith("patch.dict") and node.args and self._is_environ_or_its_name(node):
            yield _set(None, None)
        elif name == _AFFINITY or (_last(node.func) == "cpu_affinity" and node.args):
            yield "changes its CPU affinity", {"about": "process"}
        elif name in ("warnings.simplefilter", "warnings.filterwarnings"):
            if node.args and text_of(node.args[0]) == "error":
                yield "turns warnings into errors", {"about": "process"}
        elif name == "sys.path.insert":
            yield from self._path(node.args[-1] if node.args else None)
        elif name == "site.addsitedir":
            yield "adds packages to sys.path", {"about": "path"}

    def _is_environ_or_its_name(self, node: ast.Call) -> bool:
        return self._names.is_environ(node.args[0]) or text_of(node.args[0]) == "os.environ"

    def _on_environ(self, node: ast.Call, method: str) -> Iterator[_Found]:
        first = node.args[0] if node.args else None
        second = node.args[1] if len(node.args) > 1 else None
        if method == "setdefault":
            words, more = _set(text_of(first), text_of(second))
            yield words, more | {"default": True}
        elif method == "__setitem__":
            yield _set(text_of(first), text_of(second))
        elif method in ("pop", "__delitem__"):
            yield _removed(text_of(first))
        elif method in ("clear", "popitem"):
            yield _removed(None)
        elif method in ("update", "__ior__"):
            yield from self._arguments(node)

    def _path(self, node: ast.AST | None) -> Iterator[_Found]:
        """What is put on `sys.path` before others: a directory, or a list of them."""
        listed = isinstance(node, (ast.List, ast.Tuple))
        each = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node] if node else []
        paths = [path_of(one, self._names, self._main.file, self._workdir) for one in each]
        known = tuple(str(self._workdir / path) for path in paths if path is not None)
        if listed or not each or len(known) < len(paths):
            yield "changes sys.path", {"about": "path"}
        else:
            yield "inserts a directory at the front of sys.path", {"about": "path", "paths": known}

    def scripts_named(self, node: ast.AST) -> Iterator[Path]:
        """Files that a text names and that may be run: `runpy.run_path("train.py")`."""
        if isinstance(node, ast.Call) and self._names.full(node.func) == "runpy.run_path":
            text = text_of(node.args[0]) if node.args else None
            if text is not None and len(text) < 1000:
                yield self._workdir / text
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if text.endswith(".py") and "\n" not in text and len(text) < 1000:
                yield self._workdir / text
                yield self._main.file.parent / text


_Found = tuple[str, dict[str, object]]


def _set(name: str | None, value: str | None) -> _Found:
    words = f"sets {name}" if name else "sets variables whose names are computed at run time"
    sure = name is not None and value is not None
    return words, {"variable": name, "value": value, "certain": sure}


def _removed(name: str | None) -> _Found:
    return (f"removes {name}" if name else "removes variables"), {"variable": name}


def _last(node: ast.AST) -> str:
    """The last part of the called name: `load_dotenv` of `made().load_dotenv`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
