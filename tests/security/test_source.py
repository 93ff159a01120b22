"""What the source never does: run data. Nothing is unpickled, no model is loaded, no shell started.

Found in the syntax tree, so that a call that no test makes is found as well. Files that users name
as programs are another matter: a cluster file in Python, and a task's script.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layout import SOURCE, modules

MODULES_THAT_RUN_DATA = frozenset(
    {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code"}
)
CALLS_THAT_RUN_DATA = frozenset(
    {"eval", "exec", "__import__", "os.system", "os.popen", "subprocess.getoutput",
     "subprocess.getstatusoutput", "asyncio.create_subprocess_shell", "pandas.read_pickle"}
)  # fmt: skip
ALLOWED = {
    ("cluster/file/python_file.py", "exec"): "a cluster file in Python, which the user named",
    ("launch/script.py", "exec"): "the task's own program, in the task",
}

LOADERS = {
    "torch.load": "weights_only",
    "numpy.load": "allow_pickle",
    "np.load": "allow_pickle",
}
"""Functions that unpickle unless they are told not to, and the argument that tells them."""

MODELS = frozenset({"torch", "tensorflow", "keras", "jax", "flax", "sklearn", "safetensors"})


def name_of(node: ast.expr) -> str:
    """`os.system` for an attribute, `exec` for a name; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := name_of(node.value)):
        return f"{before}.{node.attr}"
    return ""


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Everything in a module."""
    return tuple(ast.walk(ast.parse(path.read_text())))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a module, by the name that it is called by."""
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node


def imported(path: Path) -> set[str]:
    """Every module that a module imports, wherever in it."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def constant(call: ast.Call, argument: str) -> object:
    """What a call says for an argument by its name, if that is a constant; else None."""
    values = [word.value for word in call.keywords if word.arg == argument]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_no_module_runs_data() -> None:
    for path in modules():
        own = str(path.relative_to(SOURCE))
        assert not imported(path) & MODULES_THAT_RUN_DATA, own
        for name, call in calls(path):
            assert name not in CALLS_THAT_RUN_DATA or (own, name) in ALLOWED, f"{own} calls {name}"
            assert constant(call, "shell") is None, f"{own}:{call.lineno} starts a shell"
            if argument := LOADERS.get(name):
                said = constant(call, argument)
                assert said is (argument == "weights_only"), f"{own}:{call.lineno} may unpickle"


def test_yaml_is_read_by_safe_loaders_alone() -> None:
    loaders = ("UnsafeLoader", "FullLoader", "CLoader", "Loader")
    for path in modules():
        names = {name_of(node) for node in nodes(path) if isinstance(node, ast.expr)}
        for name in ("load", "load_all", "unsafe_load", "full_load", *loaders):
            assert f"yaml.{name}" not in names, path
            assert f"yaml.{name}" not in imported(path), path


def closure(*entries: str) -> set[str]:
    """Modules of tenfold that these may ever import, by whatever way."""
    known = {
        ".".join(("tenfold", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in modules()
    }
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name != "tenfold" and name in known and name not in found:
            found.add(name)
            waiting += imported(known[name])
    return found


@pytest.mark.parametrize("entry", ["supervise.__main__", "launch.server", "dashboard.__main__"])
def test_supervisor_and_dashboard_cannot_import_a_framework(entry: str) -> None:
    """Not even in a function that is never called: no framework is within reach of an import."""
    reach = closure(f"tenfold.{entry}", *(
        f"tenfold.cells.{cell}" for cell in ("local", "docker", "slurm", "kubernetes")
    ))  # fmt: skip
    assert len(reach) > 15
    for name in sorted(reach):
        path = SOURCE.joinpath(*name.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tops = {module.partition(".")[0] for module in imported(path)}
        assert not tops & MODELS, f"{name} imports {tops & MODELS}"
