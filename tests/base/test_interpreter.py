"""Modules of the user's never run in tenfold's own processes; tasks import them as ever."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from chaos.modules import OTHERS, imported, poison
from tenfold.base.interpreter import own
from tenfold.run.rundir import every

TENFOLD = str(Path(sys.executable).with_name("tenfold"))

AT_START = ("encodings", "codecs", "importlib", "__main__")
"""What the interpreter itself needs before it reads a line of tenfold's."""


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A directory whose modules raise when they are imported, and say by whom they were."""
    directory = tmp_path / "user"
    directory.mkdir()
    poison(directory)
    return directory


def tenfold(
    directory: Path, runs: Path, *words: str, code: int = 0, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """A command typed in `directory`; it has to end with `code`."""
    done = subprocess.run(
        [TENFOLD, *words],
        cwd=directory,
        env={**os.environ, **env, "TENFOLD_RUNS": str(runs)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


def write(directory: Path, text: str) -> None:
    (directory / "tenfold.yaml").write_text(text)


CLUSTER = "cluster: own\njobs:\n  chief: {run: [sh, -c, 'echo begun; exec sleep 600']}\n"


@pytest.fixture
def up(poisoned: Path, runs: Path) -> Iterator[Path]:
    """The directory, with a run of TensorBoard, Jupyter and a chief, with a page of all runs."""
    write(poisoned, CLUSTER + "tensorboard: true\njupyter: true\n")
    tenfold(poisoned, runs, "up", "-d", "--wait", "--timeout", "100s")
    yield poisoned
    tenfold(poisoned, runs, "down")


@pytest.mark.parametrize("isolation", ["namespace", "none"])
def test_a_run_imports_nothing_from_the_directory_of_its_file(
    poisoned: Path, runs: Path, isolation: str
) -> None:
    write(poisoned, CLUSTER)
    tenfold(poisoned, runs, "up", "-d", "--wait", "--isolation", isolation, "--timeout", "60s")
    for words in ("ps", "logs", "why", "events", "map", "stacks", "exec chief -- true", "down"):
        tenfold(poisoned, runs, *words.split())
    assert imported(poisoned) == []


def test_the_pages_of_a_run_import_nothing_from_it(up: Path) -> None:
    assert imported(up) == []


def test_a_module_path_with_such_modules_is_searched_last(tmp_path: Path, runs: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    known = [name for name in sys.stdlib_module_names if name not in AT_START and _exists(name)]
    poison(there, [*known, "yaml", "click", "pydantic", "rich"])
    write(here, CLUSTER)
    path = {"PYTHONPATH": str(there)}
    tenfold(here, runs, "up", "-d", "--wait", "--timeout", "60s", env=path)
    for words in ("ps", "logs", "why", "events", "stacks", "down"):
        tenfold(here, runs, *words.split(), env=path)
    assert imported(there) == []


def _exists(name: str) -> bool:
    """Whether this Python has it: the library itself tries to import what other systems have."""
    return importlib.util.find_spec(name) is not None


def test_tasks_import_their_own_modules_as_plain_python_does(tmp_path: Path, runs: Path) -> None:
    (tmp_path / "random.py").write_text("name = 'mine'")
    (tmp_path / "train.py").write_text(
        "import os, random, sys\n"
        "assert random.name == 'mine'\n"
        "assert sys.path[0] == os.getcwd(), sys.path\n"
        "assert not sys.flags.safe_path and not sys.flags.ignore_environment\n"
        "assert 'PYTHONSAFEPATH' not in os.environ\n"
    )
    write(tmp_path, "cluster: own\njobs:\n  chief: {run: python train.py}\n")
    tenfold(tmp_path, runs, "up")


@pytest.mark.parametrize(
    "variable", ["PYTHONINSPECT=1", "PYTHONWARNINGS=error", "PYTHONOPTIMIZE=2", "PYTHONSTARTUP=/"]
)
def test_variables_for_python_change_no_exit_code(
    tmp_path: Path, runs: Path, variable: str
) -> None:
    name, _, value = variable.partition("=")
    for code in (0, 1):
        run = f'[sh, -c, "env | grep -x {variable} && exit {code}"]'
        write(tmp_path, f"cluster: own\njobs:\n  chief: {{run: {run}, restart: never}}\n")
        tenfold(tmp_path, runs, "up", code=code, env={name: value})
    for run_directory in every(runs):
        assert run_directory.supervisor_log.read_text() == ""


def test_a_path_that_holds_tenfold_itself_is_kept(tmp_path: Path, runs: Path) -> None:
    """As on clusters, where a module system puts packages into PYTHONPATH."""
    site = next(p for p in sys.path if p.endswith("site-packages"))
    source = str(Path(__file__).parents[2] / "src")
    write(tmp_path, "cluster: own\njobs:\n  chief: {run: sleep 0.1}\n")
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from tenfold.cli import main; main()", "up"],
        cwd=tmp_path,
        env=os.environ | {"TENFOLD_RUNS": str(runs), "PYTHONPATH": f"{source}:{site}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_checkout_runs_without_installation(tmp_path: Path, runs: Path) -> None:
    """`cd src; python -m tenfold`, by an interpreter in which tenfold is not installed."""
    site = next(p for p in sys.path if p.endswith("site-packages"))
    write(tmp_path, "cluster: own\njobs:\n  chief: {run: sleep 0.1}\n")
    done = subprocess.run(
        [sys._base_executable, "-m", "tenfold", "up", str(tmp_path / "tenfold.yaml")],  # type: ignore[attr-defined]
        cwd=Path(__file__).parents[2] / "src",
        env=os.environ | {"TENFOLD_RUNS": str(runs), "PYTHONPATH": site},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_process_of_its_own_ignores_what_is_meant_for_programs() -> None:
    assert own("tenfold.supervise", "RUN")[-3:] == ["-m", "tenfold.supervise", "RUN"]
    done = subprocess.run(
        [*own("tenfold"), "--version"],
        env=os.environ | {"PYTHONINSPECT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_itself_imports_nothing_that_could_be_the_users(poisoned: Path) -> None:
    """Or `tenfold` could not keep the user's modules out of its way in time."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import tenfold, tenfold.base.interpreter"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(poisoned / "not")], capture_output=True, check=True
    )
    assert done.stderr == b""
    for name in ("sitecustomize", "tenfold", "usercustomize"):
        assert name in OTHERS
        (poisoned / f"{name}.py").unlink()
    loaded = f"before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; {loaded}", str(poisoned)],
        capture_output=True,
        check=True,
    )
    assert set(done.stdout.decode().split()) == {
        *("tenfold", "tenfold.base", "tenfold.base.interpreter")
    }
    assert imported(poisoned) == []
