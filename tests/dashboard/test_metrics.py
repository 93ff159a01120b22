"""What Prometheus is told; its own parser reads it."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tenfold.dashboard.boards import Board
from tenfold.dashboard.metrics import exposition, is_told

from .fake_runs import FakeRun

DOCS = Path(__file__).parents[2] / "docs" / "dashboard.md"


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Values by name and labels but the run's: `(name, task, state)`."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("cluster", "run")}
            found[sample.name, *(v for _, v in sorted(labels.items()))] = sample.value
    return found


def told(run: FakeRun) -> tuple[dict[tuple[str, ...], float], str]:
    board = Board(run.directory)
    text, kind = exposition([(board.now(), board.map())], "")
    return samples(text), kind


def test_a_run_in_figures(demo_run: FakeRun) -> None:
    demo_run.restart("worker/3")
    demo_run.usage("worker/3", cpu=0.5, memory=1 << 20, s=4)
    demo_run.progress("chief/0", 5, 10, rate=100.0, unit="steps")
    found, kind = told(demo_run)
    assert kind.startswith("text/plain")
    assert found["tenfold_cluster_state", "running"] == 1
    assert found["tenfold_cluster_state", "failed"] == 0
    assert found["tenfold_task_state", "running", "worker/3"] == 1
    assert found["tenfold_task_restarts_total", "worker/3"] == 1
    assert found["tenfold_task_cpu_seconds_total", "worker/3"] >= 2
    assert found["tenfold_task_memory_bytes", "worker/3"] == 1 << 20
    assert found["tenfold_task_progress_per_second", "chief/0", "steps"] == 100
    assert found["tenfold_task_progress_done", "chief/0", "steps"] == 5
    both = [name for name in found if name[0] == "tenfold_edge_bytes_total"]
    assert len(both) == 2 * 44
    assert found["tenfold_edge_planned", "chief/0", "ps/0"] == 1


def test_names_that_are_odd(demo_run: FakeRun) -> None:
    demo_run.progress("chief/0", 5, 10, rate=1.0, unit='a"b\\c\nd')
    assert told(demo_run)[0]["tenfold_task_progress_done", "chief/0", 'a"b\\c\nd'] == 5


def test_runs_that_ended_long_ago_are_left_out(demo_run: FakeRun) -> None:
    assert is_told(Board(demo_run.directory).now())
    demo_run.end("failed", "for the test")
    assert is_told(Board(demo_run.directory).now())
    demo_run.update(ended=1.0)
    assert not is_told(Board(demo_run.directory).now())


def test_every_metric_is_documented(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    text, _ = exposition([(board.now(), board.map())], "")
    families = text_string_to_metric_families(text.decode())
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    documented = set(re.findall(r"`(tenfold_\w+)`", DOCS.read_text()))
    assert names == documented


def test_openmetrics_for_who_asks(demo_run: FakeRun) -> None:
    board = Board(demo_run.directory)
    text, kind = exposition([(board.now(), board.map())], "application/openmetrics-text")
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
