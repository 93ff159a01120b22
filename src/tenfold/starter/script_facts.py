"""What a training script does, read from syntax trees.

Owns: the imports, calls, arguments and variables of a script that tell how its processes find each
other. Nothing is imported or run. Leaves to others: what follows (`recipes`).
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tenfold.cluster.scripts.sources import PythonSource, module_files, source
from tenfold.cluster.scripts.trees import Names, text_of

MOST_FILES = 60
"""The maximum number of local modules that are read for one script."""


@dataclass(frozen=True, slots=True)
class ScriptOption:
    """An option or argument that the script reads from its command line.

    `dest` is its attribute, `option` its first long name (empty for a positional argument).
    """

    dest: str
    option: str
    required: bool
    default: object = None


@dataclass(slots=True)
class ScriptCall:
    """A call with its full name. Arguments are syntax trees."""

    name: str
    line: int
    arguments: list[ast.expr]
    keywords: dict[str, ast.expr]


@dataclass(slots=True)
class ScriptFacts:
    """Facts about a script together with its local modules.

    Attributes:
        file: the script.
        imports: top-level names of imported packages.
        calls: calls whose names are known, by full name.
        mentions: full names of everything else that is used, as in `isinstance(x, DDP)`.
        options: what it reads from its command line.
        variables: environment variables that it reads.
        runs: whether it does something when it is started.
        modules_named: names of modules that the file itself imports.
        modules: local modules that were read with it.
    """

    file: Path
    imports: set[str] = field(default_factory=set)
    calls: dict[str, list[ScriptCall]] = field(default_factory=dict)
    mentions: set[str] = field(default_factory=set)
    options: dict[str, ScriptOption] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)
    texts: dict[str, object] = field(default_factory=dict)
    runs: bool = False
    modules_named: set[str] = field(default_factory=set)
    modules: tuple[Path, ...] = ()

    def imports_any(self, *names: str) -> bool:
        """Whether one of these packages is imported."""
        return any(name in self.imports for name in names)

    def called(self, *endings: str) -> ScriptCall | None:
        """The first call whose full name is or ends in one of `endings`."""
        for ending in endings:
            for name, calls in self.calls.items():
                if name == ending or name.endswith(f".{ending}"):
                    return calls[0]
        return None

    def value(self, node: ast.expr | None) -> object:
        """The value of an argument: a constant, the default of an option, or None."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.value(node.operand)
            return -inner if isinstance(inner, int) else None
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.value(item) for item in node.elts]
        if isinstance(node, ast.Name):
            return self.texts.get(node.id)
        if isinstance(node, ast.Attribute) and (option := self.option_of(node)):
            return option.default
        return None

    def option_of(self, node: ast.expr | None) -> ScriptOption | None:
        """The option of the command line that `args.rank` stands for."""
        while isinstance(node, ast.Call) and node.args:
            node = node.args[0]
        return self.options.get(node.attr) if isinstance(node, ast.Attribute) else None


def script_facts(file: Path, workdir: Path) -> ScriptFacts | None:
    """The facts about a script, or None if it cannot be parsed."""
    main = own_facts(file)
    if main is None:
        return None
    facts = replace(
        main,
        imports=set(main.imports),
        calls={name: list(calls) for name, calls in main.calls.items()},
        mentions=set(main.mentions),
        options=dict(main.options),
        variables=set(main.variables),
        texts=dict(main.texts),
    )
    facts.modules = _local_modules(main, workdir)
    for path in facts.modules:
        if (module := own_facts(path)) is not None:
            _merge(facts, module)
    return facts


def own_facts(file: Path) -> ScriptFacts | None:
    """The facts about one file without its local modules. Not to be changed."""
    known = source(file)
    if known is None:
        return None
    found = _KNOWN.get(file)
    if found is None or found[0] is not known:
        facts = ScriptFacts(file, runs=_runs(known.tree, Names(known.tree)))
        _read(facts, known)
        found = _KNOWN[file] = (known, facts)
    return found[1]


_KNOWN: dict[Path, tuple[PythonSource, ScriptFacts]] = {}
"""Facts of files that were read already: modules are shared by many scripts."""


def _local_modules(main: ScriptFacts, workdir: Path) -> tuple[Path, ...]:
    """The files of local modules that the script imports, and those of their imports."""
    script = Path(os.path.realpath(main.file))
    roots = tuple(dict.fromkeys((script.parent, workdir)))
    found: dict[Path, None] = {}
    waiting = [main]
    while waiting and len(found) < MOST_FILES:
        for name in sorted(waiting.pop(0).modules_named):
            for path in module_files(name, roots):
                if path == script or path in found or len(found) >= MOST_FILES:
                    continue
                found[path] = None
                if (facts := own_facts(path)) is not None:
                    waiting.append(facts)
    return tuple(found)


def _merge(facts: ScriptFacts, module: ScriptFacts) -> None:
    """Add what a local module does to the facts about a script, which take precedence."""
    facts.imports |= module.imports
    facts.mentions |= module.mentions
    facts.variables |= module.variables
    for name, calls in module.calls.items():
        facts.calls.setdefault(name, []).extend(calls)
    facts.options = module.options | facts.options
    facts.texts = module.texts | facts.texts


def _runs(tree: ast.Module, names: Names) -> bool:
    """Whether the file has a main block, or calls and loops at its top."""
    for node in tree.body:
        if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
            return True
        if isinstance(node, (ast.For, ast.While, ast.With)):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return True
        called = node.value if isinstance(node, ast.Assign) else None
        if isinstance(called, ast.Call):
            name = names.full(called.func).rpartition(".")[2]
            if name in _STARTING:
                return True
    return False


_STARTING = ("parse_args", "ParameterServerStrategy", "MultiWorkerMirroredStrategy", "Accelerator")
"""What scripts without a main block assign at their top, and modules do not."""


def _read(facts: ScriptFacts, file: PythonSource) -> None:
    names = Names(file.tree)
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            facts.imports |= {alias.name.partition(".")[0] for alias in node.names}
            facts.mentions |= {alias.name for alias in node.names}
            facts.modules_named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            facts.imports.add(node.module.partition(".")[0])
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            facts.mentions |= full
            facts.modules_named |= {node.module, *full}
        elif isinstance(node, ast.Call):
            _read_call(facts, names, node)
        elif isinstance(node, ast.Subscript) and names.is_environ(node.value):
            _add_text(facts.variables, node.slice)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    facts.texts.setdefault(target.id, node.value.value)
        elif isinstance(node, ast.Attribute) and (name := names.full(node)):
            facts.mentions.add(name)


def _add_text(variables: set[str], node: ast.expr) -> None:
    if (text := text_of(node)) is not None:
        variables.add(text)


def _read_call(facts: ScriptFacts, names: Names, node: ast.Call) -> None:
    name = names.full(node.func)
    if not name and isinstance(node.func, ast.Attribute):
        name = node.func.attr  # a method of something that has no name: `Trainer(…).fit(…)`
    if not name:
        return
    keywords = {word.arg: word.value for word in node.keywords if word.arg}
    call = ScriptCall(name, node.lineno, list(node.args), keywords)
    facts.calls.setdefault(name, []).append(call)
    last = name.rpartition(".")[2]
    if last == "add_argument":
        for option in _argparse_option(facts, call):
            facts.options.setdefault(option.dest, option)
    elif last.startswith("DEFINE_") and node.args and (text := text_of(node.args[0])):
        default = facts.value(node.args[1]) if len(node.args) > 1 else None
        facts.options.setdefault(text, ScriptOption(text, f"--{text}", False, default))
    elif name in ("os.getenv", "os.environ.get", "os.environ.setdefault") and node.args:
        _add_text(facts.variables, node.args[0])


def _argparse_option(facts: ScriptFacts, call: ScriptCall) -> Iterator[ScriptOption]:
    flags = [text for node in call.arguments if (text := text_of(node)) is not None]
    if not flags:
        return
    default = facts.value(call.keywords.get("default"))
    count = facts.value(call.keywords.get("nargs"))
    long = next((flag for flag in flags if flag.startswith("--")), flags[0])
    positional = not flags[0].startswith("-")
    dest = text_of(call.keywords.get("dest")) or long.lstrip("-").replace("-", "_")
    required = facts.value(call.keywords.get("required")) is True
    if positional:
        required = count not in ("?", "*") and "default" not in call.keywords
    yield ScriptOption(dest, "" if positional else long, required, default)
