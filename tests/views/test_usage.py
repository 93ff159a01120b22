"""CPU and memory out of samples."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tenfold.run.rundir import RunDirectory, create
from tenfold.views.usage import UsageReader, history


def _run(tmp_path: Path, ago: float, seconds: int = 10) -> RunDirectory:
    """A task that used half a core, and was last sampled `ago` seconds before now."""
    run = create(tmp_path, "c")
    directory = run.task("worker-0")
    directory.path.mkdir()
    last = time.time() - ago
    with directory.usage.open("w") as stream:
        for second in range(seconds):
            moment = last - seconds + 1 + second
            stream.write(json.dumps({"time": moment, "cpu_s": second / 2, "memory": 7}) + "\n")
    return run


def test_cores_and_memory_now(tmp_path: Path) -> None:
    found = UsageReader(_run(tmp_path, 0.5)).read(["worker/0", "worker/1"])
    assert list(found) == ["worker/0"]
    assert found["worker/0"].cpu == pytest.approx(0.5, abs=0.01)
    assert found["worker/0"].memory == 7


def test_usage_without_recent_samples_is_unknown(tmp_path: Path) -> None:
    found = UsageReader(_run(tmp_path, 60)).read(["worker/0"])["worker/0"]
    assert (found.cpu, found.memory, found.cpu_s) == (None, None, 4.5)


def test_history_is_thinned(tmp_path: Path) -> None:
    run = _run(tmp_path, 0, seconds=1_000)
    told = history(run.task("worker-0"), points=100)
    assert 90 <= len(told["time"]) <= 100
    assert told["cpu"] == pytest.approx([0.5] * len(told["cpu"]), abs=0.01)
    assert history(run.task("worker-9")) == {"time": [], "cpu": [], "memory": []}


def test_invalid_samples_give_unknown_usage(tmp_path: Path) -> None:
    run = create(tmp_path, "c")
    directory = run.task("worker-0")
    directory.path.mkdir()
    now = time.time()
    odd = ['"x"', "NaN", "-5", "9" * 400, "[]"]
    lines = [f'{{"time": {now - 5 + n}, "cpu_s": {v}, "memory": {v}}}' for n, v in enumerate(odd)]
    directory.usage.write_text("\n".join(lines) + "\n")
    found = UsageReader(run).read(["worker/0"])["worker/0"]
    assert (found.cpu, found.memory, found.cpu_s) == (None, None, None)
    assert set(history(directory)["cpu"]) == {None}
