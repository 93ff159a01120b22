"""Scripts whose syntax tree does not show what they do to the environment of an import."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.scripts.doubts import HANDED_ON, PATCHES, UNKNOWN_CODE
from tenfold.cluster.scripts.early import actions
from tenfold.cluster.scripts.verdict import PreloadVerdict, matters, verdict
from tenfold.frameworks import framework


def script(home: Path, text: str) -> PreloadVerdict:
    """The verdict for a task of JAX that runs a script with this text."""
    (home / "train.py").write_text(text)
    frame = framework("jax")
    modules = frame.preload()
    done = actions(("python", "train.py"), home, {})
    return verdict(done, matters(frame, "worker", modules), {}, modules)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("def set_(e): e['JAX_ENABLE_X64'] = '1'\nset_(os.environ)", HANDED_ON),
        ("def main(env=os.environ): env['JAX_ENABLE_X64'] = '1'\nmain()", HANDED_ON),
        ("class S:\n    env = os.environ\nS.env['JAX_ENABLE_X64'] = '1'", HANDED_ON),
        ("e, x = os.environ, 1\ne['JAX_ENABLE_X64'] = '1'", HANDED_ON),
        ("e = {'e': os.environ}", HANDED_ON),
        ("e = os.environ or {}", HANDED_ON),
        ("s = os.environ.setdefault\ns('JAX_ENABLE_X64', '1')", HANDED_ON),
        ("for os.environ['JAX_ENABLE_X64'] in ['1']: pass", HANDED_ON),
        ("vars(os)['environ']['JAX_ENABLE_X64'] = '1'", HANDED_ON),
        ("os.__dict__['environ']['JAX_ENABLE_X64'] = '1'", HANDED_ON),
        ("getattr(os, 'envi' + input())", HANDED_ON),
        ("import operator; operator.setitem(os.environ, 'JAX_ENABLE_X64', '1')", HANDED_ON),
        ("import operator; operator.attrgetter('environ')(os)", HANDED_ON),
        ("(lambda d: d.update(A='1'))(os.environ)", HANDED_ON),
        ("def give(): return os.environ", HANDED_ON),
        ("exec(open('settings.txt').read())", UNKNOWN_CODE),
        ("exec('e = os.environ; e.update(A=1)')", UNKNOWN_CODE),
        ("import importlib.util as u\nu.spec_from_file_location('m', input())", UNKNOWN_CODE),
        ("import time\ntime.perf_counter = print", PATCHES),
        ("import builtins as b\nb.__import__ = print", PATCHES),
        ("from logging import setLoggerClass as s\ns(dict)", PATCHES),
    ],
)
def test_a_doubtful_line_before_the_import_keeps_a_task_from_being_forked(
    tmp_path: Path, lines: str, words: str
) -> None:
    made = script(tmp_path, f"import os\n{lines}\nimport jax\n")
    assert made.obstacle is not None
    assert (made.obstacle.words, made.obstacle.about) == (words, "doubt")
    assert script(tmp_path, f"import os, jax\n{lines}\n").obstacle is None, "it comes too late"


@pytest.mark.parametrize(
    "line",
    [
        "print(os.environ)",
        "rank = os.environ.get('RANK', '0')",
        "get = os.environ.get",
        "env = dict(os.environ)",
        "env = {**os.environ, 'A': '1'}",
        "env = os.environ | {'A': '1'}",
        "env = os.environ.copy()",
        "import subprocess; subprocess.run(['true'], env=os.environ)",
        "subprocess.run(['true'], env=dict(os.environ, A='1'))",
        "for name in os.environ: print(name)",
        "found = [n for n in os.environ if 'A' in n]",
        "debug = 'DEBUG' in os.environ",
        "if os.environ: pass",
        "print(f'{os.environ}')",
        "env = os.environ\nprint(env['HOME'])",
        "eval('1 + 1')",
        "import sys; sys.stdout = sys.stderr",
        "import ssl; ssl._create_default_https_context = ssl._create_unverified_context",
    ],
)
def test_a_line_that_only_reads_is_no_obstacle(tmp_path: Path, line: str) -> None:
    assert script(tmp_path, f"import os\n{line}\nimport jax\n").obstacle is None


def test_the_environment_under_another_modules_name_is_doubtful(tmp_path: Path) -> None:
    (tmp_path / "env17.py").write_text("import os\nE = os.environ\n")
    made = script(tmp_path, "from env17 import E\nE['JAX_ENABLE_X64'] = '1'\nimport jax\n")
    assert made.obstacle is not None
    assert made.obstacle.place == "env17.py:2"


def test_a_file_that_a_script_runs_by_its_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "cfg.txt").write_text("import os\nos.environ['JAX_ENABLE_X64'] = '1'\n")
    made = script(tmp_path, "import runpy\nrunpy.run_path('cfg.txt')\nimport jax\n")
    assert made.obstacle is not None
    assert made.obstacle.place == "cfg.txt:2"


def test_all_names_of_os_are_known_when_they_are_imported_at_once(tmp_path: Path) -> None:
    made = script(tmp_path, "from os import *\nenviron['JAX_ENABLE_X64'] = '1'\nimport jax\n")
    assert made.values == {"JAX_ENABLE_X64": "1"}
