"""`progress.jsonl`: what is kept of a task's reports."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

from tenfold.run.progress import Progress
from tenfold.tasks.progresslog import ProgressLog, ProgressSample
from tenfold.traffic.samples import all_samples


def test_reports_are_dense_at_first_and_rarer_later(tmp_path: Path) -> None:
    path, log = tmp_path / "progress.jsonl", ProgressLog()
    for tick in range(10_000):
        log.write(path, Progress(done=tick, total=1e9, time=100 + tick / 10), tick / 10)
    times = [sample.time - 100 for sample in all_samples(ProgressSample, path)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) < 0.31
    assert 1.9 < max(gaps) < 2.2
    assert len(times) < 1000


def test_the_last_report_is_always_kept(tmp_path: Path) -> None:
    path, log = tmp_path / "progress.jsonl", ProgressLog()
    log.write(path, Progress(done=1, total=2, time=1.0), 0.0)
    log.write(path, Progress(done=2, total=2, time=1.01), 0.01)
    assert [sample.done for sample in all_samples(ProgressSample, path)] == [1, 2]


def test_figures_that_are_not_finite_are_gaps_and_texts_are_left_out(tmp_path: Path) -> None:
    path, log = tmp_path / "progress.jsonl", ProgressLog()
    figures: dict[str, str | float | None]
    figures = {"loss": "nan", "norm": "-inf", "lr": 0.5, "epoch": "1/3", "best": math.inf}
    log.write(path, Progress(done=1, total=2, time=1.0, figures=figures), 0.0)
    (sample,) = all_samples(ProgressSample, path)
    assert sample.figures == {"loss": None, "norm": None, "lr": 0.5, "best": None}


def test_what_a_task_writes_itself_breaks_no_reader(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    bad = [
        {"time": 1, "done": "x", "figures": 5},
        {"time": 2, "done": 1, "figures": {"a": [], "b": {}, "c": 1}},
        {"done": 1},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in bad) + "\xff{\n")
    samples = all_samples(ProgressSample, path)
    assert [(sample.done, sample.figures) for sample in samples] == [(None, {}), (1, {"c": 1})]
