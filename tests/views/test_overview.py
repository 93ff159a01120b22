"""What the overview reads: use over time, figures as curves, what a run is, reports of hangs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenfold.run.progress import Progress
from tenfold.run.rundir import RunDirectory, create
from tenfold.tasks.progresslog import ProgressLog
from tenfold.views.figures import FigureReader
from tenfold.views.hangreport import newest_hang
from tenfold.views.overview import COLUMNS, usage_history


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run directory with two tasks that have left nothing."""
    made = create(tmp_path, "c")
    for label in ("worker-0", "worker-1"):
        made.task(label).path.mkdir(parents=True)
    return made


def use(run: RunDirectory, label: str, seconds: int, cores: float) -> None:
    """A sample a second, at `cores` cores."""
    lines = [{"time": 1000 + s, "cpu_s": cores * s, "memory": s, "processes": 1}
             for s in range(seconds)]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run.task(label).usage.write_text(text)


@pytest.mark.parametrize("seconds", [10, 600, 40_000])
def test_use_is_shown_in_a_few_columns_however_long_the_run(
    run: RunDirectory, seconds: int
) -> None:
    use(run, "worker-0", seconds, 0.5)
    use(run, "worker-1", seconds // 2, 2.0)
    shown = usage_history(run, ["worker/0", "worker/1", "worker/2"])
    assert 5 <= len(shown.times) <= COLUMNS
    assert set(shown.cpu) == {"worker/0", "worker/1"}
    assert all(cores == pytest.approx(0.5, rel=0.01) for cores in shown.cpu["worker/0"])
    first, second = shown.cpu["worker/1"][0], shown.cpu["worker/1"][-1]
    assert first == pytest.approx(2.0, rel=0.01)
    assert second is None, "it has ended in the middle"
    memory = [value for value in shown.memory["worker/0"] if value is not None]
    assert memory == sorted(memory)
    assert memory[-1] == seconds - 1


def test_damaged_use_is_left_out(run: RunDirectory) -> None:
    run.task("worker-0").usage.write_bytes(b'\xff{"time": 1e999}\n{"time": 5}\n[]\n')
    run.task("worker-1").usage.mkdir()
    shown = usage_history(run, ["worker/0", "worker/1"])
    assert all(value is None for values in shown.cpu.values() for value in values)


def test_curves_of_figures_are_read_on(run: RunDirectory) -> None:
    path, log, reader = run.task("worker-0").progress_log, ProgressLog(), FigureReader(run)
    assert reader.read(["worker/0"]) == []
    for step in range(5):
        report = Progress(done=step, total=9, time=10.0 + step, figures={"loss": 1 / (1 + step)})
        log.write(path, report, float(step))
    ((found,),) = [one["tags"] for one in reader.read(["worker/0", "worker/1"])]
    assert (found["tag"], found["steps"]) == ("loss", [0, 1, 2, 3, 4])
    assert found["times"] == [10.0, 11.0, 12.0, 13.0, 14.0]
    log.write(path, Progress(done=2, total=9, time=20.0, figures={"loss": "nan"}), 9.0)
    ((found,),) = [one["tags"] for one in reader.read(["worker/0"])]
    assert found["steps"] == [0, 1, 2], "a task that resumes replaces what came after"
    assert found["values"][-1] is None


def test_a_report_of_a_hang_is_shown_whatever_is_in_it(run: RunDirectory) -> None:
    assert newest_hang(run)["hang"] is None
    place = run.path / "hangs" / "1"
    place.mkdir(parents=True)
    (place / "report.json").write_text(json.dumps({
        "version": 1, "task": "worker/1", "time": 5.0, "words": "no progress",
        "suspects": [{"task": "worker/1", "because": "it stands"}, 5],
        "tasks": [{"task": "worker/1"}, "x"], "lines": {"worker/1": ["a", 5]},
    }))  # fmt: skip
    shown = newest_hang(run)["hang"]
    assert shown["task"] == "worker/1"
    assert shown["suspects"][0] == {"task": "worker/1", "because": "it stands"}
    assert shown["groups"] == ()
    assert shown["path"].endswith("hangs/1/report.json")
