"""The example on a real cluster: to the end, interrupted and gone on with, and as a notebook."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluate
import pictures
from tests.conftest import wait_for

from .conftest import WORD2VEC, planted_topics

pytestmark = [
    pytest.mark.timeout(480),
    pytest.mark.usefixtures("lean_tensorflow_with_pictures"),
]

TENFOLD = [sys.executable, "-m", "tenfold"]


def tenfold(
    *arguments: str | Path, runs: Path, timeout_s: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command of tenfold's and give back what it said, whatever its exit code."""
    command, *rest = map(str, arguments)
    return subprocess.run(
        [*TENFOLD, command, "--runs", str(runs), *rest],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def status(runs: Path) -> dict[str, Any]:
    """What `ps --json` says of the newest run."""
    told: dict[str, Any] = json.loads(tenfold("ps", "--json", runs=runs).stdout)
    return told


def small(text: Path, **variables: object) -> list[str]:
    """Options for a cluster of 2 ps and 3 workers on this text."""
    chosen = {"vars.corpus": text, "jobs.ps.tasks": 2, "jobs.worker.tasks": 3}
    chosen |= {"jupyter": "false", "tensorboard": "false"}
    chosen |= {f"vars.{name}": value for name, value in variables.items()}
    return [part for name, value in chosen.items() for part in ("--set", f"{name}={value}")]


def topics_found(words: Sequence[str], vectors: evaluate.Vectors) -> float:
    """Of the ten words nearest to each planted word, the share that is of its topic."""
    index = {word: place for place, word in enumerate(words)}
    hits = []
    for topic in planted_topics():
        near = evaluate.neighbours(vectors, [index[word] for word in topic], count=10)
        names = [words[place] for place, _ in itertools.chain(*near)]
        hits.append(np.isin(names, topic).mean())
    return float(np.mean(hits))


def chief_log(directory: Path) -> str:
    return (directory / "tasks" / "chief-0" / "stdout.log").read_text(encoding="utf-8")


def test_trains_to_the_end_of_an_interrupted_training(
    planted: Path, tmp_path: Path, runs: Path
) -> None:
    checkpoints = tmp_path / "kept checkpoints"
    options = small(planted, epochs=12, checkpoints=checkpoints, dim=32, negatives=8)
    begun = tenfold("up", WORD2VEC / "tenfold.yaml", "-d", *options, runs=runs)
    assert begun.returncode == 0, begun.stderr
    with contextlib.ExitStack() as stack:
        stack.callback(tenfold, "down", runs=runs)
        wait_for(lambda: list(checkpoints.glob("*/*/tenfold.json")), 150)
    interrupted = status(runs)
    assert interrupted["state"] == "stopped"
    assert not (Path(interrupted["directory"]) / "results" / "vectors.txt").exists()

    done = tenfold("up", WORD2VEC / "tenfold.yaml", *options, runs=runs)
    assert done.returncode == 0, done.stdout + done.stderr
    now = status(runs)
    assert now["state"] == "succeeded"
    directory = Path(now["directory"])
    said = chief_log(directory)
    assert "resumed after" in said
    assert "resumed after 0 epochs and 0 words" not in said
    assert re.search(r"^topic\w\w  +topic\w\w 0\.", said, re.MULTILINE), "a word, its neighbours"
    assert str(directory / "results" / "words.png") in said

    words, vectors = pictures.load_vectors(directory / "results" / "vectors.txt")
    assert np.isfinite(vectors).all()
    assert topics_found(words, vectors) > 0.9
    assert (directory / "results" / "words.png").read_bytes().startswith(b"\x89PNG")
    assert list((directory / "tensorboard" / "train").glob("events.*"))
    assert (directory / "tensorboard" / "words" / "projector_config.pbtxt").exists()


@pytest.mark.parametrize("content", [b"", b"\0\1\2"])
def test_a_corpus_that_is_no_good_ends_the_run(tmp_path: Path, runs: Path, content: bytes) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes(content)
    done = tenfold("up", WORD2VEC / "tenfold.yaml", *small(bad), runs=runs, timeout_s=120)
    assert done.returncode == 1
    assert "bad.txt is" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    tasks = {task["task"]: task for task in status(runs)["tasks"]}
    assert tasks["corpus/0"]["exit_code"] == 2


def test_the_notebook_runs_against_a_cluster(planted: Path, tmp_path: Path, runs: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    options = [f"--set=vars.corpus={planted}", "--set=vars.epochs=10"]
    up = tenfold("up", WORD2VEC / "notebook.tenfold.yaml", "-d", "--wait", *options, runs=runs)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        executed = tmp_path / "executed.ipynb"
        done = tenfold(
            *["exec", "jupyter/0", "--", sys.executable, "-c"],
            "from nbclient.cli import main; main()",
            *["word2vec.ipynb", f"--output={executed}", "--timeout=300"],
            runs=runs,
            timeout_s=400,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        directory = Path(status(runs)["directory"])
    finally:
        tenfold("down", runs=runs)
    notebook = nbformat.read(executed, 4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures_shown = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures_shown) == 3
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
    assert "planted" not in (WORD2VEC / "word2vec.ipynb").read_text(encoding="utf-8")
    words, vectors = pictures.load_vectors(directory / "results" / "vectors.txt")
    assert len(words) == 125, "the text the file was given, not the default one"
    assert topics_found(words, vectors) > 0.9


def test_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads((WORD2VEC / "word2vec.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
