"""The 2016 cluster, 4 ps and 8 workers, from the same unchanged file on every cell that runs here.

On the local cell `test_word2vec.py` does more; what is compared here is how a run reads afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pictures

from .conftest import WORD2VEC

pytestmark = pytest.mark.timeout(1000, func_only=True)  # twelve imports of TensorFlow

TASKS = [
    "chief/0",
    *(f"ps/{n}" for n in range(4)),
    *(f"worker/{n}" for n in range(8)),
    "corpus/0",
    "tensorboard/0",
    "jupyter/0",
]


def tenfold(*words: str, runs: Path, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command of tenfold's."""
    command, *rest = words
    argv = [sys.executable, "-m", "tenfold", command, "--runs", str(runs), *rest]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.fixture(params=["local", "docker", "slurm"])
def cell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each cell, its engine running."""
    if request.param == "docker":
        request.getfixturevalue("tenfold_image")  # its layers are those that `build:` asks for
        monkeypatch.setenv("BASE_IMAGE", str(request.getfixturevalue("base_image")))
    elif request.param == "slurm":
        request.getfixturevalue("slurm")
    return str(request.param)


def test_word2vec_succeeds_on_the_cell_and_every_view_reads_it(cell: str, runs: Path) -> None:
    done = tenfold("up", str(WORD2VEC / "tenfold.yaml"), "--on", cell, runs=runs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = _json("ps", runs)
    assert (shown["state"], shown["cell"]) == ("succeeded", cell)
    assert [task["task"] for task in shown["tasks"]] == TASKS
    states = {task["job"]: task["state"] for task in shown["tasks"]}
    assert states == {
        "chief": "succeeded",
        "corpus": "succeeded",
        **dict.fromkeys(("ps", "worker", "tensorboard", "jupyter"), "stopped"),
    }
    assert all(task["restarts"] == 0 and task["address"] for task in shown["tasks"])

    directory = Path(shown["directory"])
    words, vectors = pictures.load_vectors(directory / "results" / "vectors.txt")
    assert len(words) > 5000
    assert np.isfinite(vectors).all()
    assert (directory / "results" / "words.png").read_bytes().startswith(b"\x89PNG")
    assert list((directory / "tensorboard" / "train").glob("events.*"))

    edges = {(edge["from"], edge["to"]): edge for edge in _json("map", runs)["edges"]}
    expected = {pair for pair, edge in edges.items() if edge["expected"]}
    assert len(expected) == 4 + 8 + 4 * 8
    assert [pair for pair in expected if not edges[pair]["bytes"]] == []

    logs = tenfold("logs", "chief", "--no-log-prefix", runs=runs).stdout
    assert "results/words.png" in logs
    kinds: dict[str | None, list[str]] = {}
    for line in tenfold("events", "--json", runs=runs).stdout.splitlines():
        event = json.loads(line)
        if event["kind"] != "task-waits":  # a slow machine's
            kinds.setdefault(event["task"], []).append(event["kind"])
    for task in TASKS:
        assert kinds[task][:2] == ["task-started", "task-ready"], task
        assert kinds[task][-1] == "task-exited", task
    assert kinds[None][0] == "cluster-starting"
    assert kinds[None][-1] == "cluster-succeeded"


def _json(command: str, runs: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(tenfold(command, "--json", runs=runs).stdout)
    return told
