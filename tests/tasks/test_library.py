"""The part of tenfold that travels: it needs nothing but a Python, and hides nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenfold
from tenfold import cli
from tenfold.cluster.python_choice import OLDEST, PythonChoice
from tenfold.planning.plan import Bound, Plan, Task
from tenfold.run import rundir
from tenfold.run.rundir import RunDirectory
from tenfold.tasks import library
from tests import pythons
from tests.plans import plan_of

IMPORT = """
import sys
sys.path.append(sys.argv[1])
import importlib
for name in sys.argv[2:]:
    importlib.import_module(name)
ours = [m for n, m in sys.modules.items() if n.partition('.')[0] == 'tenfold']
assert all(m.__file__.startswith(sys.argv[1]) for m in ours)
third = [n for n, m in sys.modules.items() if 'site-packages' in (getattr(m, '__file__', '') or '')]
assert not third, third
print(len(ours))
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return rundir.create(tmp_path / "runs", "c")


def planned(python: PythonChoice, *commands: tuple[str, ...]) -> Plan:
    tasks = [Task("a", n, command, workdir="/") for n, command in enumerate(commands)]
    return plan_of(*tasks, python=python)


def foreign(tmp_path: Path) -> PythonChoice:
    return PythonChoice(str(pythons.venv(tmp_path / "env")), "VIRTUAL_ENV")


def own() -> PythonChoice:
    return PythonChoice(sys.executable, "tenfold", own=True)


def _interpreters() -> list[str]:
    oldest = ".".join(map(str, OLDEST))
    others = (pythons.of_version(version) for version in (oldest, "3.12", "3.13", "3.14"))
    return [pythons.base(), *(path for path in others if path is not None)]


@pytest.mark.parametrize("python", _interpreters())
def test_an_interpreter_without_any_package_imports_all_of_it(
    python: str, run: RunDirectory, tmp_path: Path
) -> None:
    library.prepare(planned(foreign(tmp_path), ("python", "t.py")), run, {})
    command = [python, "-I", "-S", "-c", IMPORT, str(library.library(run)), *library.ENTRIES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(library.ENTRIES)


NEW = {
    "asyncio": {"TaskGroup", "timeout", "timeout_at", "Runner", "Barrier"},
    "contextlib": {"chdir"},
    "datetime": {"UTC"},
    "enum": {"StrEnum", "ReprEnum", "EnumCheck", "member", "nonmember", "verify"},
    "typing": {"LiteralString", "Never", "NotRequired", "Required", "Self", "TypeVarTuple",
               "Unpack", "assert_never", "assert_type", "dataclass_transform", "override",
               "reveal_type"},
}  # fmt: skip
"""Names of the standard library that Python 3.10 does not have, by module."""


def _new_names(path: Path) -> Iterator[str]:
    """What a module uses that Python 3.10 does not have, as far as its text tells."""
    tree = ast.parse(path.read_text(), feature_version=OLDEST)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if node.module == "tomllib" or alias.name in NEW.get(node.module or "", ()):
                    yield f"{path}:{node.lineno}: {node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NEW.get(node.value.id, ()):
                yield f"{path}:{node.lineno}: {node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name) and node.id in ("ExceptionGroup", "BaseExceptionGroup"):
            yield f"{path}:{node.lineno}: {node.id}"


def test_modules_that_travel_use_nothing_that_the_oldest_python_lacks() -> None:
    paths = [path for name, path in library.modules().items() if not name.endswith("older.py")]
    assert [found for path in paths for found in _new_names(path)] == []


def test_it_holds_nothing_but_tenfold(run: RunDirectory, tmp_path: Path) -> None:
    library.prepare(planned(foreign(tmp_path), ("python", "t.py")), run, {})
    names = sorted(path.name for path in library.library(run).iterdir())
    assert names == ["tenfold", f"tenfold-{tenfold.__version__}.dist-info"]
    assert not list(library.library(run).rglob("*.pyc"))
    assert not (library.library(run) / "tenfold" / "cli").exists()


def test_a_run_of_tenfolds_own_interpreter_brings_nothing(run: RunDirectory) -> None:
    library.prepare(planned(own(), ("python", "t.py"), ("sh", "-c", "x")), run, {})
    assert not (run.path / "interpreter").exists()
    bound = Bound(("python", "t.py"), {}, "/", None)
    assert library.with_library(bound, {"A": "b"}, run, own()) == {"A": "b"}


def test_a_task_with_another_interpreter_finds_it_before_its_own_path(
    run: RunDirectory, tmp_path: Path
) -> None:
    other = pythons.venv(tmp_path / "other")
    torchrun = pythons.script(tmp_path / "bin" / "torchrun", f"#!{other}\n")
    commands = (
        *((str(other), "t.py"), (str(torchrun), "t.py"), ("python", "t.py")),
        *(("conda", "run", "-n", "train", "python", "t.py"), ("/x/uv", "run", "t.py")),
    )
    library.prepare(planned(own(), *commands), run, {})
    place = str(library.library(run))

    def path(command: tuple[str, ...], environment: dict[str, str]) -> str | None:
        bound = Bound(command, {}, "/", None)
        return library.with_library(bound, environment, run, own()).get("PYTHONPATH")

    search = {"PATH": os.defpath}
    assert path(commands[0], search) == place
    assert path(commands[1], search | {"PYTHONPATH": "/x:y"}) == f"{place}:/x:y"
    assert path(commands[2], {"PATH": str(Path(sys.executable).parent)}) is None
    assert path(commands[3], search) == path(commands[4], search) == place


def test_links_lead_to_an_interpreter_of_another_name(run: RunDirectory, tmp_path: Path) -> None:
    alone = tmp_path / "bin" / "my-python"
    alone.parent.mkdir()
    alone.symlink_to(pythons.base())
    library.prepare(planned(PythonChoice(str(alone), "x"), ("python", "t.py")), run, {})
    for name in ("python", "python3"):
        assert (library.links(run) / name).readlink() == alone


def test_an_old_interpreter_hears_why_tenfold_is_missing(run: RunDirectory, tmp_path: Path) -> None:
    old = pythons.of_version("3.9", "3.8", "3.7", "3.6")
    if old is None:
        pytest.skip("this machine has no Python before 3.10")
    library.prepare(planned(foreign(tmp_path), ("python", "t.py")), run, {})
    code = "import tenfold; tenfold._imported_by_torch(); tenfold.task()"
    environment = {"PYTHONPATH": str(library.library(run))}
    done = subprocess.run(
        [old, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "ImportError: tenfold needs Python 3.10, and " in done.stderr
    assert old in done.stderr


def test_what_does_not_travel_says_so(run: RunDirectory, tmp_path: Path) -> None:
    library.prepare(planned(foreign(tmp_path), ("python", "t.py")), run, {})
    command = [pythons.base(), "-S", "-c", "import tenfold; tenfold.up"]
    environment = {"PYTHONPATH": str(library.library(run))}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "tenfold.up does not travel with a run" in done.stderr


def test_a_rendered_directory_of_slurm_brings_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_PYTHON", raising=False)
    pythons.venv(tmp_path / "env")
    text = "cluster: c\npython: env\njobs: {a: {run: python t.py}}\n"
    (tmp_path / "tenfold.yaml").write_text(text)
    (tmp_path / "t.py").touch()
    for _ in range(2):
        assert cli.run(["render", "--on", "slurm", "-o", "there"]) == 0
    place = library.library(RunDirectory(tmp_path / "there" / "run"))
    assert (place / "tenfold" / "tasks" / "member.py").is_file()
