"""Secrets planted in a cluster file turn up nowhere but in the task, in no output and no file.

All canaries begin alike, so that a piece of one is found as well as the whole.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run
from tenfold.run.rundir import every
from tests.conftest import pid_of, wait_for
from tests.dashboard.fake_runs import FakeRun
from tests.dashboard.served import served
from tests.dashboard.test_paths import body_of, every_route, filled

CANARY = "c4n4ry"
SHORT = "q7Zx9"
"""Too short to be looked for inside of other texts: hidden as a variable's whole value alone."""

FILE = """
cluster: quiet
image: registry.example/train:1
cells: {kubernetes: {storage: {size: 1GiB}}}
vars: {hub_password: c4n4ry-of-a-var, plain: c4n4ry-behind-a-var}
env:
  HF_TOKEN: c4n4ry-of-the-cluster
  OUTER: ${env.OUTER_API_KEY}
jobs:
  chief:
    run: [sh, -c, 'test $HF_TOKEN$PLAIN$OUTER = $EXPECTED && touch "$RIGHT"; exec sleep 600']
    ready: {command: test -e RIGHT_PATH}
    env:
      DB_PASSWORD: ${hub_password}
      DB_URL: https://me:${hub_password}@db.example
      PIN_PASSWORD: q7Zx9
      PLAIN: ${plain}
      EXPECTED: c4n4ry-of-the-cluster${plain}c4n4ry-from-outside
      RIGHT: RIGHT_PATH
    secret: [PLAIN, EXPECTED]
  worker:
    tasks: 2
    run: [sh, -c, "echo fails; exit 3"]
    after: {chief: ready}
    restart: {policy: always, limit: 1000, backoff: 0.2}
    env: {WANDB_API_KEY: c4n4ry-of-a-job}
    overrides: {1: {env: {SIGNING_SECRET: c4n4ry-of-a-task}}}
"""

FAULTY = FILE.replace("tasks: 2", "tasks: two").replace("after: {chief", "aftr: {chief")

SHELL = """
import json, sys
from tenfold.cli.app import run
for words in json.loads(sys.argv[1]):
    print("$ tenfold", *words, flush=True)
    print("exit", run(words), flush=True)
"""


def typed(place: Path, *commands: str, env: dict[str, str]) -> str:
    """What these commands print, errors included, one after the other in one process."""
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", SHELL, words], cwd=place, env=env, text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
    )  # fmt: skip
    assert done.stdout.count("$ tenfold") == len(commands)
    return done.stdout


def leaks(data: bytes) -> list[str]:
    """Where a canary is in `data`, in plain or in base64, with what is around it."""
    found = []
    for form in (CANARY.encode(), base64.b64encode(CANARY.encode()), SHORT.encode()):
        at = data.find(form)
        if at >= 0:
            found.append(data[max(0, at - 200) : at + 60].decode(errors="replace"))
    return found


def files_below(directory: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file, sockets and pipes excepted."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


def command_lines() -> Iterator[bytes]:
    """Of every process of this machine."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes()
            except OSError:
                continue


BEFORE = (
    "check", "check --json", "plan", "plan --json", "plan --on docker", "plan --on kubernetes",
    "doctor tenfold.yaml", "doctor tenfold.yaml --json",
    "config", "config --show-origin", "config --json",
    "check faulty.yaml", "check faulty.yaml --debug", "plan faulty.yaml --json --debug",
    "plan --set jobs.chief.env.MORE_TOKEN=[x] --debug",
)  # fmt: skip

DURING = (
    "ps", "ps --json", "ps --debug", "events", "events --json", "logs", "logs --json", "why",
    "map", "map --json", "stacks", "restart nobody --debug", "exec chief/9 -- true --debug",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with that file, and one that has faults beside its secrets."""
    for name, text in (("tenfold.yaml", FILE), ("faulty.yaml", FAULTY)):
        (tmp_path / name).write_text(text.replace("RIGHT_PATH", str(tmp_path / "right")))
    return tmp_path


def test_no_output_file_page_or_command_line_holds_a_secret(place: Path, runs: Path) -> None:
    env = os.environ | {"OUTER_API_KEY": "c4n4ry-from-outside", "TENFOLD_RUNS": str(runs)}
    said = typed(place, *BEFORE, "up -d --debug", env=env)
    run = Run(next(iter(every(runs))))
    try:
        assert "exit 2" in said
        assert not leaks(said.encode())
        wait_for(lambda: _task(run, "worker/1")["restarts"] or not run.directory.alive())
        assert (place / "right").exists(), "the task has them all"
        assert not [line for text in command_lines() for line in leaks(text)]
        said = typed(place, *DURING, env=env)
        assert not leaks(said.encode())
        assert not leaks(_pages(runs, run))
        assert run.directory.alive()
        os.kill(pid_of(run, "chief/0"), signal.SIGKILL)
        assert run.wait(60)["state"] == "failed"
    finally:
        run.stop(kill=True, timeout_s=60)
    said = typed(place, "ps", "ps --json", "why", "events --json", "down --debug", env=env)
    assert "worker/" in said
    assert not leaks(said.encode())
    names = set()
    for path, data in files_below(run.directory.path):
        assert not leaks(data), path
        names.add(path.name)
    assert {"plan.json", "status.json", "events.jsonl", "supervisor.log"} <= names


def _task(run: Run, name: str) -> dict[str, Any]:
    return dict(next(task for task in run.status()["tasks"] if task["task"] == name))


def _pages(runs: Path, run: Run) -> bytes:
    """What every route of the dashboard answers of this run."""
    with FakeRun(runs.parent / "other"), served(runs) as board:
        shown = bytearray()
        key = f"{run.directory.cluster}/{run.directory.run}"
        for method, path in every_route(runs):
            query = f"?a={key}&b={key}" if "compare" in path else ""
            at = filled(path, _Named(run), label="chief-0") + query  # type: ignore[arg-type]
            most = 1500 if path.endswith("stream") else None
            shown += board.ask(at, body_of(method), most=most).body
        assert b"worker/1" in shown
        return bytes(shown)


class _Named:
    """A run as the helper of the dashboard's tests wants it."""

    def __init__(self, run: Run) -> None:
        self.directory = run.directory


@pytest.mark.parametrize("cell", ["docker", "slurm", "kubernetes"])
def test_no_rendered_file_holds_a_secret(place: Path, cell: str) -> None:
    env = os.environ | {"OUTER_API_KEY": "c4n4ry-from-outside"}
    said = typed(place, f"render --on {cell} -o made", f"render --on {cell}", env=env)
    assert "exit 0" in said, said
    assert not leaks(said.encode())
    files = dict(files_below(place / "made"))
    assert files
    for path, data in files.items():
        assert not leaks(data), path
    text = b"".join(files.values()).decode()
    assert "HF_TOKEN" in text
    if cell == "kubernetes":
        assert "kubectl create secret generic" in text
        assert "secretKeyRef" in text or "secretRef" in text
