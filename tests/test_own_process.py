"""Tests that import frameworks are kept apart, and pytest's own process imports none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAD = """
import os, signal, sys, pytest
from tests.own_process import lazily
"""
OPTIMIZER = (
    HEAD
    + """
torch = lazily("torch")
pytestmark = pytest.mark.imports("torch")

def test_an_optimizer_imports_the_compiler():
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    assert "triton" in sys.modules
    assert "tensorflow" not in sys.modules

def test_the_process_is_the_same():
    assert "triton" in sys.modules
"""
)
VARIABLE = (
    HEAD
    + """
tf = lazily("tensorflow")
pytestmark = pytest.mark.imports("tensorflow")

def test_tensorflow_is_alone():
    assert float(tf.Variable(1.0)) == 1.0
    assert not {"torch", "triton"} & sys.modules.keys()
"""
)


def run(directory: Path, *options: str, **modules: str) -> subprocess.CompletedProcess[str]:
    """pytest on these modules, in a process of its own that has no other tests."""
    for name, text in modules.items():
        (directory / f"test_{name}.py").write_text(text)
    (directory / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.own_process", "-p", "no:cacheprovider",
         "-q", "-rA", *options, str(directory)],
        cwd=directory,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )  # fmt: skip


@pytest.mark.parametrize("lanes", [(), ("--numprocesses", "2", "--dist", "loadfile")], ids=len)
def test_tests_of_tensorflow_and_of_torch_pass_in_one_run(
    tmp_path: Path, lanes: tuple[str, ...]
) -> None:
    done = run(tmp_path, *lanes, a_variable=VARIABLE, b_optimizer=OPTIMIZER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_an_import_into_pytests_own_process_fails_the_test(tmp_path: Path) -> None:
    done = run(tmp_path, mine="def test_mine():\n    import triton\ndef test_next():\n    pass\n")
    assert "the test imported triton into pytest's own process" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_an_import_of_another_framework_fails_the_test(tmp_path: Path) -> None:
    text = HEAD + "@pytest.mark.imports('jax')\ndef test_mine():\n    import triton\n"
    done = run(tmp_path, mine=text)
    assert "the test imported triton into a process for jax" in done.stdout


def test_an_import_by_a_test_module_stops_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, mine="import triton\ndef test_mine():\n    pass\n")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "imported triton into pytest's own process" in done.stderr


def test_a_process_that_crashes_fails_its_test_alone(tmp_path: Path) -> None:
    crash = HEAD + (
        "pytestmark = pytest.mark.imports('jax')\n"
        "def test_first():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def test_second():\n    pass\n"
    )
    done = run(tmp_path, a_crash=crash, b_next="def test_third():\n    pass\n")
    assert "the process of this test ended with SIGSEGV" in done.stdout
    assert "1 failed, 2 passed" in done.stdout


def test_fixtures_of_a_module_are_set_up_once_and_torn_down_at_its_end(tmp_path: Path) -> None:
    text = HEAD + (
        "pytestmark = pytest.mark.imports('jax')\n"
        "@pytest.fixture(scope='module')\n"
        "def log():\n"
        f"    path = {str(tmp_path / 'log')!r}\n"
        "    print('up', file=open(path, 'a'))\n"
        "    yield path\n"
        "    print('down', file=open(path, 'a'))\n"
        "def test_first(log):\n    pass\n"
        "def test_second(log):\n    assert open(log).read() == 'up\\n'\n"
    )
    done = run(tmp_path, mine=text, z="def test_after():\n    pass\n")
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "log").read_text() == "up\ndown\n"
