"""The house as designed: who may import whom, what is light, files that say what they own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.cluster.cell_table import CELLS
from tenfold.frameworks import FRAMEWORKS, NO_FRAMEWORK

SOURCE = Path(__file__).parents[1] / "src" / "tenfold"

ORDER = (
    ("base", "errors"),
    ("frameworks",),
    ("cluster", "starter"),
    ("planning",),
    ("run",),
    ("traffic",),
    ("debug",),
    ("checkpoint", "tensorflow", "torch", "jax", "services"),
    ("launch",),
    ("tasks",),
    ("cells",),
    ("doctor",),
    ("supervise",),
    ("views",),
    ("dashboard",),
    ("bringup",),
    ("retention",),
    ("cli", "__main__", "notebook"),
)
"""Rooms from the ground up: each imports from its own row and those above it in this list."""

OWNERS = {("cells", cell) for cell in CELLS} | {
    ("launch", "first"),  # it runs without tenfold, and reacts to an import by that name
    ("torch.py",),
    ("jax.py",),
    ("tensorflow.py",),
}
"""What may know the name of a cell or a framework: its own folder, its own module."""

HEAVY = ("email", "pydantic", "rich", "yaml", "tensorflow", "torch", "jax", "numpy", "psutil")
"""What the supervisor and the launch server must not import: every run waits for them."""


def room(module: str) -> str:
    """The room of `tenfold.cells.local.supervisor`: cells."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules of tenfold that a module imports when it is imported itself, or for its types."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    deferred = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or _is_typing(node)
        for inner in ast.walk(node)
    }
    for node in set(ast.walk(tree)) - deferred:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("tenfold.")}


def _is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    levels = {name: level for level, rooms in enumerate(ORDER) for name in rooms}
    own = room(".".join(("tenfold", *path.relative_to(SOURCE).with_suffix("").parts)))
    if own == "__init__":
        return
    assert own in levels, f"{own} has no place in the order of rooms"
    for name in imports(path):
        there = room(name)
        assert levels.get(there, 0) <= levels[own], f"{own} must not import {there}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_has_a_docstring(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "a module opens with what it owns"


@pytest.mark.parametrize("module", ["tenfold.supervise.__main__", "tenfold.launch.server"])
def test_modules_that_every_run_imports_are_light(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & set(HEAVY)


def test_no_public_function_is_named_like_a_module() -> None:
    """A function called like a module would be replaced by it when the module is imported."""
    code = (
        "import tenfold, tenfold.bringup.api, tenfold.cli;"
        "[getattr(tenfold, n) for n in tenfold.__all__]"
    )
    code += "; assert all(callable(getattr(tenfold, n)) for n in tenfold.__all__ if n not in "
    code += "('checkpoint', 'tensorflow', 'torch', 'jax'))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_below_the_command_line_exits() -> None:
    entry_points = {"__main__.py", "server.py", "beside.py", "tensorboard.py", "jupyter.py"}
    for path in modules():
        if path.parent.name != "cli" and path.name not in entry_points:
            assert "sys.exit" not in path.read_text(), f"{path} exits"


def test_class_names_are_unique() -> None:
    """`Place` in a traceback or a search has to mean one thing. `spec` names what the file says."""
    found: dict[str, list[str]] = {}
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


@pytest.mark.parametrize("folder", sorted((SOURCE / "cells").glob("*/")), ids=lambda f: f.name)
def test_the_folder_of_a_cell_lists_its_files(folder: Path) -> None:
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    if files:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert {line.split()[0] for line in text.splitlines()[2:] if line} == files


def test_nothing_outside_a_cell_or_a_framework_compares_its_name() -> None:
    """Cells have traits and frameworks have attributes: a new one then needs no other change."""
    names = {*CELLS, *FRAMEWORKS} - {NO_FRAMEWORK}
    for path in modules():
        if path.relative_to(SOURCE).parts[:2] in OWNERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                found = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                assert not found & names, f"{path}:{node.lineno} compares {found & names}"


def test_a_new_field_of_a_task_touches_spec_planner_and_plan_only() -> None:
    """Nothing else makes a `Task`: others read its fields, and change one with `replace`."""
    makers = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Task", "plans.Task"):
                makers.add(path.name)
    assert makers == {"planner.py", "plan.py"}


def test_tests_mirror_the_source() -> None:
    tests = Path(__file__).parent
    for directory in (path for path in SOURCE.iterdir() if path.is_dir()):
        if directory.name != "__pycache__" and any(directory.glob("*.py")):
            assert any((tests / directory.name).glob("test_*.py")), f"no tests of {directory.name}"
