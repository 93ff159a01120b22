"""The page: what stands between its marks, what fell short, and the plots."""

from __future__ import annotations

from pathlib import Path

import pytest

import plots
import report
from measure import Bench, Measured, Row


def rows(*values: tuple[str, str, str, float]) -> list[Row]:
    """Rows of (case, metric, unit, value)."""
    bench = Bench("trial", Path(), repeats=1)
    for case, metric, unit, value in values:
        for factor in (0.9, 1.0, 1.2):
            bench.add(case, Measured(metric, unit, value * factor))
    return bench.rows()


def test_the_page_has_a_section_for_every_topic_and_keeps_its_prose() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    made = report.filled(page, {"plan": rows(("10 tasks", "plan", "s", 0.25))})
    assert "| 10 tasks | plan | 0.250 s | 0.225 – 0.300 | 3 |" in made
    for name in ("machine", "targets", *report.TOPICS):
        assert f"<!-- {name} -->" in made
    assert made.count("Not measured in this run.") == len(report.TOPICS) - 1
    assert report.filled(made, {}) == report.filled(page, {})


def test_a_mark_without_content_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        report.filled("<!-- nonsense -->\n<!-- end -->", {})


def test_missed_targets_are_listed() -> None:
    made = report.targets(
        {
            "launch": rows(("13 servers: tenfold / one import", "ratio", "×", 1.5)),
            "plan": rows(("10,000 tasks", "load + plan", "s", 0.2)),
            "scaling": rows(("20 workers", "speed-up", "×", 12.0)),
        }
    )
    verdicts = {line.split(" | ")[0]: line.split(" | ")[-1] for line in made.splitlines()}
    assert verdicts["| plan of 10,000 tasks"] == "stretch target reached |"
    assert verdicts["| 20 workers, simulated computation"] == "**missed** |"
    assert "reached |" in made
    assert made.endswith("Missed targets: 20 workers, simulated computation.")


@pytest.mark.filterwarnings("default")  # of libraries that matplotlib imports
def test_every_plot_is_drawn(tmp_path: Path) -> None:
    measured = {
        "launch": rows(
            ("5 servers: tenfold", "time", "s", 3), ("5 servers: tenfold", "memory", "MiB", 900)
        ),
        "train": rows(("planted, window 1: tenfold, 13 tasks", "steady", "pairs/s", 5e5)),
        "plan": rows(
            ("10 tasks", "load + plan", "s", 0.1),
            ("10 tasks: tenfold plan --json", "whole command", "s", 0.5),
        ),
        "overhead": rows(("1 × printing: honcho > file", "rate", "lines/s", 3e4)),
        "scaling": rows(("1 worker", "speed-up", "×", 1), ("2 workers", "speed-up", "×", 1.9)),
    }
    drawn = list(plots.draw(measured, tmp_path / "performance"))
    assert [path.name for path in drawn] == [f"{name}.svg" for name in plots.PLOTS]
    assert all("</svg>" in path.read_text(encoding="utf-8") for path in drawn)
    assert list(plots.draw({}, tmp_path)) == []
