"""The library that is named for a crash in native code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import planned, up
from tenfold.cluster.file import loads
from tenfold.run.rundir import RunDirectory
from tenfold.views.crashes import crash_in
from tenfold.views.why import account
from tests.views.written import Told

CRASHES = {
    "SIGSEGV": "import ctypes; ctypes.string_at(0)",
    "SIGABRT": "import ctypes; ctypes.CDLL(None).abort()",
    "SIGBUS": "import os; os.kill(os.getpid(), 7)",
    "SIGILL": "import os; os.kill(os.getpid(), 4)",
    "SIGFPE": "import os; os.kill(os.getpid(), 8)",
}


def ended(directory: Path, runs: Path, code: str, run: str = "python train.py") -> RunDirectory:
    (directory / "train.py").write_text(code)
    text = f"cluster: c\njobs: {{chief: {{run: {run}}}}}\n"
    made = up(planned(loads(text, directory=directory)), runs=runs)
    assert made.wait(60)["state"] == "failed"
    return made.directory


def package(directory: Path, code: str) -> None:
    """A package in a directory of packages, which crashes where it is called."""
    place = directory / "venv/lib/python3.11/site-packages/broken"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("")
    (place / "core.py").write_text(f"def compute():\n    {code}\n")


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_in_a_package_names_it(name: str, runs: Path, tmp_path: Path) -> None:
    package(tmp_path, CRASHES[name].replace("import ctypes; ctypes.string_at(0)", SEGV))
    code = (
        "import sys; sys.path.insert(0, 'venv/lib/python3.11/site-packages')\n"
        "from broken.core import compute\ncompute()\n"
    )
    told = Told(account(ended(tmp_path, runs, code)))
    first: dict[str, Any] = told["first_failure"]
    assert f"was killed by {name} (" in told["headline"]
    assert "native code called by broken: broken/core.py, line 2, in compute" in told["headline"]
    assert first["crash"]["library"] == "broken"
    assert first["crash"]["function"] == "compute"


SEGV = "import ctypes; ctypes.CDLL(None).strlen(None)"


def test_a_crash_reported_by_a_shell_is_explained_the_same(runs: Path, tmp_path: Path) -> None:
    found = ended(tmp_path, runs, SEGV, '[sh, -c, "python train.py; exit $?"]')
    told = Told(account(found))
    assert "exited with code 139 (a" in told["headline"]
    assert "native code called by train.py" in told["headline"]


def test_a_crash_in_a_preloaded_process_is_explained_the_same(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('up')\n" + SEGV)
    text = "cluster: c\njobs: {chief: {run: python train.py, preload: [json]}}\n"
    made = up(planned(loads(text, directory=tmp_path)), runs=runs)
    assert made.wait(60)["state"] == "failed"
    assert "native code called by train.py" in account(made.directory).headline


def test_a_crash_without_a_stack_gets_a_hint_to_the_log_of_the_kernel(
    runs: Path, tmp_path: Path
) -> None:
    told = Told(account(ended(tmp_path, runs, "", '[sh, -c, "kill -SEGV $$"]')))
    assert told["headline"].endswith(
        "was killed by SIGSEGV (a crash in native code); find the library with dmesg | "
        "grep segfault"
    )
    assert told["first_failure"]["crash"] is None


def report(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr.splitlines()


def test_the_thread_that_crashed_counts() -> None:
    code = (
        "import threading, time, ctypes\n"
        "def crash(): ctypes.CDLL(None).strlen(None)\n"
        "threading.Thread(target=crash).start()\ntime.sleep(60)\n"
    )
    lines = report(code)
    assert lines[0].startswith("Fatal Python error")
    found = crash_in(lines)
    assert found is not None
    assert (found.library, found.function) == ("threading", "run")


def test_a_report_with_a_launchers_prefix_is_found() -> None:
    lines = report("import ctypes; ctypes.string_at(0)")
    found = crash_in(["before", *(f"[rank0]: {line}" for line in lines), "after"])
    assert found is not None
    assert (found.library, found.standard, found.before) == ("ctypes", True, ("before",))


@pytest.mark.parametrize(
    "lines", [[], ["Fatal Python error: Aborted"], ["Current thread 0x1 (most recent call first):"]]
)
def test_an_incomplete_crash_report_is_ignored(lines: list[str]) -> None:
    assert crash_in(lines) is None
