"""Find hidden changes to the environment of an import.

These are changes that a file's syntax tree does not show.

`early` finds assignments to variables. This module finds what leads to assignments that cannot be
found: `os.environ` passed on under another name, code that is known only when it runs, and changes
of the standard library. It knows the uses of `os.environ` that only read, and doubts the others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tenfold.cluster.scripts.trees import Names, text_of

_READING = frozenset({"get", "copy", "items", "keys", "values", "__getitem__", "__contains__"})
"""Methods of `os.environ` that may be passed on."""

_READERS = frozenset(
    """
    dict len sorted list set tuple bool str repr print iter isinstance hash id type any all map
    filter enumerate zip max min json.dumps copy.copy copy.deepcopy pprint pprint.pprint
    pprint.pformat types.MappingProxyType os.path.expandvars
    """.split()  # noqa: SIM905
)
"""Functions that do not change `os.environ` when it is their argument.

That holds as long as it is not named again.
"""

_OF_MODULES = ("vars", "setattr", "importlib.reload")
"""Functions that reach `os.environ` when their argument is `os`."""

_RUNNERS = ("exec", "eval", "runpy.run_path", "runpy.run_module", "execfile")
_LOADERS = ("SourceFileLoader", "spec_from_file_location", "spec_from_loader", "load_source")
_IN_CODE = re.compile(r"environ|putenv|setenv|\benv\b|import")

_PATCHED = ("builtins", "time", "logging", "threading", "socket", "os", "io", "random", "importlib")
"""Standard modules from which frameworks copy names on import."""

_PATCHERS = ("logging.setLoggerClass", "logging.setLogRecordFactory", "sys.setswitchinterval")

HANDED_ON = "passes os.environ to other code, which may set variables"
UNKNOWN_CODE = "runs code that is generated at run time"
PATCHES = "changes a module of the standard library"


class Doubts:
    """The doubtful expressions of one file.

    `exports`: other files may import its names.
    """

    def __init__(self, tree: ast.AST, names: Names, *, exports: bool) -> None:
        self._names = names
        self._exports = exports
        self._parents = {
            id(child): parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)
        }

    def of(self, node: ast.AST) -> Iterator[str]:
        """What is doubtful about a node, apart from the nodes in it."""
        if isinstance(node, ast.expr) and self._names.is_environ(node):
            if not self._is_read(node) and not self._is_stored(node):
                yield HANDED_ON
        elif isinstance(node, ast.Call):
            yield from self._called(node)
        elif isinstance(node, ast.Subscript):
            if self._names.is_environ(node.value) and self._is_loop_target(node):
                yield HANDED_ON
        elif isinstance(node, ast.Attribute):
            if self._names.full(node) == "os.__dict__":
                yield HANDED_ON
        elif isinstance(node, ast.Assign) and any(map(self._is_patched, node.targets)):
            yield PATCHES

    def _parent(self, node: ast.AST) -> ast.AST | None:
        return self._parents.get(id(node))

    def _is_stored(self, node: ast.expr) -> bool:
        return not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)

    def _is_loop_target(self, node: ast.Subscript) -> bool:
        around = self._parent(node)
        handled = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete, ast.Tuple, ast.List)
        return self._is_stored(node) and not isinstance(around, handled)

    def _is_read(self, node: ast.expr) -> bool:
        """Whether an expression only reads `os.environ`, given its position in it.

        Methods that are called, and assignments to its items, are `early`'s.
        """
        around = self._parent(node)
        if isinstance(around, ast.Attribute):
            call = self._parent(around)
            called = isinstance(call, ast.Call) and call.func is around
            return called or around.attr in _READING
        if isinstance(around, ast.Call):
            name = self._names.full(around.func)
            return name in _READERS or name.endswith("patch.dict")
        if isinstance(around, ast.keyword):
            return around.arg in (None, "env")
        if isinstance(around, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
            return self._is_alias(around)
        if isinstance(around, (ast.For, ast.AsyncFor, ast.comprehension)):
            return around.iter is node
        if isinstance(around, ast.Dict):
            return any(key is None and value is node
                       for key, value in zip(around.keys, around.values, strict=True))  # fmt: skip
        return isinstance(around, _READING_NODES)

    def _is_alias(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr) -> bool:
        """Whether a plain name becomes `os.environ`.

        `Names` follows such a name within the file.
        """
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not all(isinstance(target, ast.Name) for target in targets):
            return False
        around = self._parent(node)
        return not isinstance(around, ast.ClassDef) and not (
            self._exports and isinstance(around, ast.Module)
        )

    def _called(self, node: ast.Call) -> Iterator[str]:
        name = self._names.full(node.func)
        if name in _PATCHERS:
            yield PATCHES
        elif self._reaches_environ(name, node.args):
            yield HANDED_ON
        elif self._runs_code(name) and not self._is_known_code(name, node):
            yield UNKNOWN_CODE

    def _runs_code(self, name: str) -> bool:
        return name in _RUNNERS or name.rpartition(".")[2] in _LOADERS

    def _reaches_environ(self, name: str, arguments: list[ast.expr]) -> bool:
        """Whether a call may give `os.environ` in a way that `Names` does not follow."""
        if name in _OF_MODULES:
            return any(self._names.full(one) == "os" for one in arguments)
        if name == "operator.attrgetter":
            return any(text_of(one) == "environ" for one in arguments)
        if name == "getattr" and len(arguments) > 1:
            return self._names.full(arguments[0]) == "os" and text_of(arguments[1]) is None
        return False

    def _is_known_code(self, name: str, node: ast.Call) -> bool:
        """Whether code is a text without variables, or a file that is read for itself."""
        code = text_of(node.args[0]) if node.args else None
        if code is not None and name in ("exec", "eval"):
            return _IN_CODE.search(code) is None
        if code is not None and name in ("runpy.run_path", "runpy.run_module"):
            return True
        texts = (text_of(one) for one in ast.walk(node))
        return any(text is not None and text.endswith(".py") for text in texts)

    def _is_patched(self, target: ast.expr) -> bool:
        if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
            return False
        if target.attr in ("environ", "environb"):
            return False  # `early` reports it
        return self._names.full(target.value) in _PATCHED


_READING_NODES = (
    ast.Subscript,
    ast.Compare,
    ast.BinOp,
    ast.FormattedValue,
    ast.AugAssign,
    ast.Expr,
    ast.If,
    ast.While,
    ast.Assert,
    ast.UnaryOp,
    ast.Starred,
    ast.Delete,
)
