"""A directory whose files have the names of modules that tenfold's own processes import.

Every such file writes who imported it into `imported` and raises. A user's `random.py`, `types.py`
or `yaml.py` is such a file. What a task imports is not judged here: it is the user's own program.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from chaos.ground import Done, Ground, shell
from chaos.trial import Trial

COMMAND_S = 120.0

IMPORTED = "imported"
"""The file with a line for every import: the module's name and the importer's command line."""

OTHERS = (
    *("anyio", "click", "google", "grpc", "h11", "ipykernel", "jupyter_config", "jupyter_server"),
    *("jupyter_server_config", "jupyterlab", "kubernetes", "numpy", "platformdirs"),
    *("prometheus_client", "pydantic", "pygments", "rich", "sitecustomize", "starlette", "tenfold"),
    *("tensorboard", "tornado", "traitlets", "usercustomize", "uvicorn", "werkzeug", "yaml"),
)
"""Modules outside Python's library that some process of tenfold's own may look for."""

POISON = f"""
import os
import sys
with open("/proc/self/cmdline", "rb") as stream:
    words = stream.read().replace(b"\\0", b" ").decode(errors="replace")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), {IMPORTED!r}), "a") as stream:
    stream.write(__name__ + ": " + words + "\\n")
raise RuntimeError("the user's module " + __name__ + " was imported")
"""

COMMANDS = (
    *("ps", "logs", "why", "events", "map", "stacks", "doctor", "check", "plan"),
    *("restart chief/0", "exec chief/0 -- true", "down"),
)
"""Commands in such a directory, in this order."""


def poison(directory: Path, names: Iterable[str] = (*sys.stdlib_module_names, *OTHERS)) -> None:
    """Fill `directory` with modules of these names."""
    for name in names:
        (directory / f"{name}.py").write_text(POISON)


def imported(directory: Path) -> list[str]:
    """What was imported from a poisoned directory, and by which command."""
    path = directory / IMPORTED
    return path.read_text().splitlines() if path.exists() else []


def own_modules(trial: Trial) -> None:
    """A run, and commands on it, in a directory full of such modules."""
    jobs = {"chief": shell("echo begun; sleep 600"), "worker": shell("sleep 600", tasks=2)}
    ground = Ground.of(trial, {"cluster": "modules", "jobs": jobs})
    poison(ground.home)
    number = len({*sys.stdlib_module_names, *OTHERS})
    up = _typed(ground, "up -d --wait --timeout 60s")
    trial.equal(f"`tenfold up` beside {number} modules that raise: exit code", up.returncode, 0)
    run = ground.newest()
    trial.equal("the run", run.state, "running")
    failed = [words for words in COMMANDS if _typed(ground, words).returncode]
    trial.equal(f"of {len(COMMANDS)} commands there: failed", failed, [])
    trial.equal("the run, after `tenfold down`", run.state, "stopped")
    trial.equal("modules imported by processes of tenfold", imported(ground.home), [])


def _typed(ground: Ground, words: str) -> Done:
    """A command as people type it in the directory of the file."""
    argv = [str(Path(sys.executable).with_name("tenfold")), *words.split()]
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_S,
        check=False,
        env=ground.environment() | {"TENFOLD_RUNS": str(ground.runs)},
        cwd=ground.home,
    )
