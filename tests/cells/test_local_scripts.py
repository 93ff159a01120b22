"""Scripts that do something before their imports: with a preload they see what plain Python does.

Every program runs twice, as a task of a cluster and under a plain `python`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, planned, up
from tenfold.cluster.file import loads
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is preloaded")

SLOW = """
import csv, os, string, unittest
SEEN = {name: value for name, value in os.environ.items() if name.startswith("MY_")}
CSV, STRING = csv.__file__, string.__file__
"""
"""A module that is preloaded, and keeps what it found when it was imported."""

TELL = """
import json, slow, csv
told = {"seen": slow.SEEN, "csv": [slow.CSV, csv.__file__], "string": slow.STRING}
print(json.dumps(told))
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module `slow`, found by every task."""
    path = tmp_path / "modules" / "slow.py"
    path.parent.mkdir()
    path.write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(path.parent))
    return path


def write(home: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


def in_cluster(
    home: Path, runs: Path, command: list[str], framework: str = "none"
) -> tuple[Any, Run]:
    """What two tasks told, which has to be the same, and their run."""
    words = json.dumps(["python", *command])
    preload = ", preload: slow" if framework == "none" else ""
    text = f"cluster: c\njobs: {{worker: {{run: {words}, tasks: 2{preload}}}}}\n"
    text += f"framework: {framework}\n"
    run = up(planned(loads(text, directory=home)), runs=runs)
    assert run.wait(120)["state"] == "succeeded", last_lines(run.directory.task("worker-0"), 30)
    first, other = (last_lines(run.directory.task(f"worker-{n}"), 1)[0] for n in range(2))
    assert first == other
    return json.loads(first), run


def in_python(home: Path, command: list[str]) -> Any:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=home,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout.splitlines()[-1])


def notes(run: Run) -> list[str]:
    events, _ = read_events(run.directory.events)
    return [str(event.more["message"]) for event in events if event.kind == "note"]


SETS = "import os\nos.environ['MY_RATE'] = '0.1'\n"
FORKED = {
    "set at the top": (["train.py"], {"train.py": f"{SETS}{TELL}"}),
    "set in a local module": (
        ["src/train.py"],
        {"src/train.py": f"import settings{TELL}", "src/settings.py": SETS},
    ),
    "set in a package": (
        ["-m", "pkg.train"],
        {"pkg/train.py": f"from . import a{TELL}", "pkg/a.py": SETS, "pkg/__init__.py": ""},
    ),
    "nothing special": (["train.py"], {"train.py": TELL, "test.py": "1/0"}),
    "in code": (["-c", SETS + TELL], {}),
}
STARTED = {
    "set if": (["train.py"], {"train.py": f"import os\nif 1: os.environ['MY_A'] = '1'\n{TELL}"}),
    "unknown": (
        ["train.py"],
        {"train.py": f"import os, sys\nos.environ.update(MY_A=sys.argv[0])\n{TELL}"},
    ),
    "a local csv": (["train.py"], {"train.py": TELL, "csv.py": ""}),
    "a local package": (["train.py"], {"train.py": TELL, "string/__init__.py": "import csv"}),
    "of a module": (["-m", "pkg.train"], {"pkg/train.py": TELL, "csv.py": ""}),
    "on a path that is added": (
        ["train.py"],
        {"train.py": f"import sys\nsys.path.insert(0, 'lib')\n{TELL}", "lib/csv.py": ""},
    ),
    "by a wrapper": (
        ["wrapper.py"],
        {"wrapper.py": "import runpy\nrunpy.run_path('t.py')\n", "t.py": f"{SETS}{TELL}"},
    ),
}


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("case", FORKED)
def test_an_unconditional_variable_is_set_at_the_import(
    case: str, runs: Path, tmp_path: Path
) -> None:
    command, files = FORKED[case]
    write(tmp_path / "home", files)
    (tmp_path / "home").mkdir(exist_ok=True)
    told, run = in_cluster(tmp_path / "home", runs, command)
    assert told == in_python(tmp_path / "home", command)
    assert notes(run) == []


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("case", STARTED)
def test_a_script_that_changes_what_imports_read_is_not_forked(
    case: str, runs: Path, tmp_path: Path
) -> None:
    command, files = STARTED[case]
    write(tmp_path / "home", files)
    told, run = in_cluster(tmp_path / "home", runs, command)
    assert told == in_python(tmp_path / "home", command)
    (note,) = notes(run)
    assert note.startswith("worker starts without a preload, each task separately: ")


REAL = {
    "jax": "import os\nos.environ['JAX_ENABLE_X64'] = '1'\nimport jax.numpy as jnp\n"
    "print(repr(str(jnp.zeros(1).dtype)).replace(\"'\", '\"'))\n",
    "torch": "import os\nos.environ['OMP_NUM_THREADS'] = '3'\n"
    "os.environ['TORCHDYNAMO_SUPPRESS_ERRORS'] = '1'\nimport torch, torch._dynamo\n"
    "print([torch.get_num_threads(), int(torch._dynamo.config.suppress_errors)])\n",
    "tensorflow": "import backend, json, keras\nprint(json.dumps(keras.backend.backend()))\n",
}


@pytest.mark.parametrize("framework", REAL)
def test_frameworks_see_what_scripts_set(framework: str, runs: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: make test brings it")
    sets = "import os\nos.environ['KERAS_BACKEND'] = 'jax'\n"
    write(tmp_path, {"train.py": REAL[framework], "backend.py": sets})
    told, run = in_cluster(tmp_path, runs, ["train.py"], framework)
    assert told == in_python(tmp_path, ["train.py"])
    last = told[-1] if framework == "torch" else told  # threads are as many as there are cores
    assert last == {"jax": "float64", "torch": 1, "tensorflow": "jax"}[framework]
    assert notes(run) == []
