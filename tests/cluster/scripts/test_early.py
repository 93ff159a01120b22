"""What scripts do before their imports, read from their files: pure but for the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.cluster.scripts.early import Action, actions
from tenfold.cluster.scripts.verdict import PreloadVerdict, matters, verdict
from tenfold.frameworks import framework


def found(home: Path, *command: str, **environment: str) -> PreloadVerdict:
    """The verdict for a job of JAX with this command, in `home`."""
    frame = framework("jax")
    done = actions(("python", *command), home, environment)
    return verdict(done, matters(frame, "worker", frame.preload()), environment)


def script(home: Path, text: str, **environment: str) -> PreloadVerdict:
    """The same for a script with this text."""
    (home / "train.py").write_text(text)
    return found(home, "train.py", **environment)


@pytest.mark.parametrize(
    "line",
    [
        'import os; os.environ["JAX_ENABLE_X64"] = "1"',
        "import os as o\no.environ['JAX_ENABLE_X64'] = str(1)",
        "from os import environ\nenviron['JAX_ENABLE_X64'] = '1'",
        "from os import environ as e\ne.update({'JAX_ENABLE_X64': '1'})",
        "import os\nos.environ.update(JAX_ENABLE_X64='1')",
        "import os\nos.environ.update(dict(JAX_ENABLE_X64='1'))",
        "import os\nos.environ.setdefault('JAX_ENABLE_X64', '1')",
        "import os\nos.environ |= {'JAX_ENABLE_X64': '1'}",
        "import os\nenv = os.environ\nenv['JAX_ENABLE_X64'] = '1'",
        "import os\nos.environ.__setitem__('JAX_ENABLE_X64', '1')",
        "import os\ngetattr(os, 'environ')['JAX_ENABLE_X64'] = '1'",
        "import os\nos.environb[b'JAX_ENABLE_X64'] = b'1'",
        "__import__('os').environ['JAX_ENABLE_X64'] = '1'",
        "import os, sys, json, tenfold\nos.environ['JAX_ENABLE_X64'] = '1'",
    ],
)
def test_a_variable_that_is_surely_set_is_given_to_the_import(tmp_path: Path, line: str) -> None:
    made = script(tmp_path, f"{line}\nimport jax\n")
    assert made.obstacle is None
    assert made.values == {"JAX_ENABLE_X64": "1"}


@pytest.mark.parametrize(
    "line",
    [
        "if os.cpu_count() > 1: os.environ['JAX_ENABLE_X64'] = '1'",
        "os.environ['JAX_ENABLE_X64'] = sys.argv[1]",
        "os.environ['JAX_' + sys.argv[1]] = '1'",
        "for k in ('JAX_ENABLE_X64',): os.environ[k] = '1'",
        "os.environ.update(json.load(open('settings.json')))",
        "os.environ.update({**vars, 'A': '1'})",
        "os.environ.pop('JAX_ENABLE_X64', None)",
        "del os.environ['JAX_ENABLE_X64']",
        "os.environ.clear()",
        "os.environ = {}",
        "os.putenv('JAX_ENABLE_X64', '1')",
        "from dotenv import load_dotenv; load_dotenv()",
        "import dotenv; dotenv.load_dotenv('x.env')",
        "from environs import Env; Env().read_env()",
        "ctypes.CDLL(None).setenv(b'JAX_ENABLE_X64', b'1', 1)",
        "def main():\n    os.environ['JAX_ENABLE_X64'] = '1'\nmain()",
        "import jax; os.environ['JAX_ENABLE_X64'] = '1'",
        "import some_library; os.environ['JAX_ENABLE_X64'] = '1'",
        "os.environ['JAX_ENABLE_X64'], x = '1', 2",
        "os.environ['XLA_FLAGS'] += ' --more'",
        "exec(\"import os; os.environ['JAX_ENABLE_X64'] = '1'\")",
        "from unittest import mock; mock.patch.dict(os.environ, {'JAX_ENABLE_X64': '1'}).start()",
        "sys.modules['numpy'] = None",
        "sys.path.insert(0, os.environ['LIBRARIES'])",
        "sys.path[0:0] = ['lib']",
        "import site; site.addsitedir('lib')",
        "os.sched_setaffinity(0, {0})",
        "import warnings; warnings.simplefilter('error')",
    ],
)
def test_an_uncertain_assignment_prevents_a_fork(tmp_path: Path, line: str) -> None:
    made = script(tmp_path, f"import ctypes, json, os, sys\n{line}\nimport jax\n")
    assert made.obstacle is not None
    assert made.obstacle.file == tmp_path / "train.py"
    assert made.obstacle.line >= 2


@pytest.mark.parametrize(
    "line",
    [
        "print(os.environ['JAX_ENABLE_X64'])",
        "copy = dict(os.environ); copy['JAX_ENABLE_X64'] = '1'",
        "env = os.environ.copy(); env['JAX_ENABLE_X64'] = '1'",
        "os.environ['WANDB_MODE'] = sys.argv[1]",
        "os.environ['MASTER_PORT'] = str(port)",
        "os.environ['CUDA_VISIBLE_DEVICES'] = os.environ['LOCAL_RANK']",
        "os.environ['PYTHONHASHSEED'] = str(seed)",
        "os.environ['JAX_LOCAL_DEVICE_IDS'] = os.environ['LOCAL_RANK']",
        "settings = {}; settings['JAX_ENABLE_X64'] = '1'",
        "assert os.environ['JAX_ENABLE_X64'] == '1'",
        "sys.path.append('lib')",
        "sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))",
        "import warnings; warnings.filterwarnings('ignore')",
        "sys.setrecursionlimit(5000)",
        '"""Usage: os.environ["JAX_ENABLE_X64"] = "1" before it."""',
        "(",
    ],
)
def test_everything_else_leaves_the_fast_path(tmp_path: Path, line: str) -> None:
    made = script(tmp_path, f"import os, sys\n{line}\nimport jax\n")
    assert (made.obstacle, dict(made.values)) == (None, {})


def test_a_default_yields_to_what_the_task_has(tmp_path: Path) -> None:
    text = "import os\nos.environ.setdefault('JAX_ENABLE_X64', '1')\n"
    assert script(tmp_path, text, JAX_ENABLE_X64="0").values == {}
    again = text + "os.environ['JAX_ENABLE_X64'] = '2'\nos.environ.setdefault('XLA_FLAGS', '-x')\n"
    assert script(tmp_path, again).values == {"JAX_ENABLE_X64": "2", "XLA_FLAGS": "-x"}


SETS = "import os\nos.environ['JAX_ENABLE_X64'] = '1'\n"
PACKAGE = {
    "pkg/__init__.py": "from .deep import settings\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/settings.py": SETS,
    "pkg/train.py": "from . import deep\nimport jax\n",
    "pkg/__main__.py": "from .train import main\n",
    "namespace/part/settings.py": SETS,
    "settings.py": SETS,
    "by_name.py": "import importlib\nimportlib.import_module('settings')\nimport jax\n",
    "deep_by_name.py": "import namespace.part.settings\nimport jax\n",
    "of_package.py": "import pkg.deep\nimport jax\n",
    "from_package.py": "from pkg.deep import settings as s\nimport jax\n",
    "runs.py": "import runpy\nrunpy.run_path('settings.py')\n",
    "reads.py": "exec(open('settings.py').read())\n",
    "late/inner.py": "def f():\n    import settings\nimport jax\n",
}


@pytest.mark.parametrize(
    ("command", "sure"),
    [
        (("pkg/train.py",), None),  # a relative import in a script fails
        (("-m", "pkg.train"), True),
        (("-m", "pkg"), True),
        (("by_name.py",), True),
        (("deep_by_name.py",), True),
        (("of_package.py",), True),
        (("from_package.py",), True),
        (("runs.py",), False),
        (("reads.py",), False),
        (("-c", "import settings; import jax"), True),
        (("-c", "import jax; import settings"), False),
        (("-m", "pdb", "settings.py"), False),
        (("wrapper_elsewhere.py", "settings.py"), False),
        (("-u", "-O", "of_package.py", "--rate", "1"), True),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_files_that_a_script_runs_count_too(
    tmp_path: Path, command: tuple[str, ...], sure: bool | None
) -> None:
    for name, text in PACKAGE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    made = found(tmp_path, *command)
    if sure:
        assert made.values == {"JAX_ENABLE_X64": "1"}
    elif sure is False:
        assert isinstance(made.obstacle, Action)
        assert made.obstacle.place == "settings.py:2"


def test_modules_of_pythonpath_count_and_installed_ones_do_not(tmp_path: Path) -> None:
    for name in ("lib", "site"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.py").write_text(SETS)
    (tmp_path / "site" / "a-1.dist-info").mkdir()
    text = "import settings\nimport jax\n"
    assert script(tmp_path, text, PYTHONPATH="lib").values == {"JAX_ENABLE_X64": "1"}
    assert script(tmp_path, text, PYTHONPATH=str(tmp_path / "site")).values == {}


def test_tenfold_is_no_local_module(tmp_path: Path) -> None:
    (tmp_path / "tenfold").mkdir()
    (tmp_path / "tenfold" / "__init__.py").write_text(SETS)
    assert script(tmp_path, "import tenfold\nfrom tenfold import jax\n").values == {}


def test_a_path_added_by_the_script_is_searched(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "settings.py").write_text(SETS)
    text = (
        "import sys\nfrom pathlib import Path\n"
        "sys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))\nimport settings\n"
    )
    made = script(tmp_path, text)
    assert (made.values, made.directories) == ({"JAX_ENABLE_X64": "1"}, (tmp_path / "lib",))


@pytest.mark.parametrize(
    "name", ["JAX_ENABLE_X64", "KERAS_BACKEND", "MPLCONFIGDIR", "OMP_NUM_THREADS"]
)
def test_variables_read_by_imports_of_the_framework_count(tmp_path: Path, name: str) -> None:
    (tmp_path / "train.py").write_text(f"import os\nos.environ[{name!r}] = '1'\n")
    done = actions(("python", "train.py"), tmp_path, {})
    frame = framework("tensorflow")
    assert verdict(done, matters(frame, "worker", frame.preload()), {}).values == {name: "1"}


def test_of_other_modules_any_variable_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os, sys\nos.environ['MINE'] = sys.argv[1]\n")
    done = actions(("python", "train.py"), tmp_path, {})
    frame = framework("torch")
    assert verdict(done, matters(frame, "worker", frame.preload()), {}).obstacle is None
    assert verdict(done, matters(frame, "worker", ("mine",)), {}).obstacle is not None


def test_missing_files_and_files_that_are_no_python_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_bytes(b"\xff\x00 os.environ[")
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "directory.py").mkdir()
    for command in ("train.py", "loop.py", "directory.py", "none.py", "\0", "-"):
        assert actions(("python", command), tmp_path, {}) == ()
    assert actions(("sh", "-c", "python x.py"), tmp_path, {}) == ()


def test_modules_that_import_each_other_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(f"import two\n{SETS}")
    (tmp_path / "two.py").write_text("import one\n")
    assert len(actions(("python", "one.py"), tmp_path, {})) == 1


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    assert script(tmp_path, "import jax\n").values == {}
    assert script(tmp_path, SETS).values == {"JAX_ENABLE_X64": "1"}
