"""What all bench scripts share: turns, rows, ratios, failures, interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from measure import Bench, Case, Measured, command, figure, table, write
from tests.conftest import wait_for

from .conftest import BENCH

SHAPE = {"topic", "case", "metric", "unit", "median", "min", "max", "n"}
SLOW = """
import sys
sys.path.append(sys.argv.pop(1))
from measure import Bench, Case, Measured, arguments, command, run

def measure(bench):
    bench.compare(
        Case("quick", lambda: [Measured("time", "s", 1.5)]),
        Case("slow", lambda: command(["sh", "-c", "sleep 600 & wait"], timeout_s=900)),
    )

sys.exit(run("interrupted", measure, arguments("").parse_args()))
"""


def test_cases_take_turns(bench: Bench) -> None:
    turns: list[str] = []

    def case(name: str, repeats: int | None = None) -> Case:
        def run() -> Iterator[Measured]:
            turns.append(name)
            yield Measured("time", "s", float(len(turns)))

        return Case(name, run, repeats)

    bench.compare(case("a"), case("b", 2), case("c"), repeats=3)
    assert "".join(turns) == "abcabcac"
    rows = {row["case"]: row for row in bench.rows()}
    assert [rows[name]["n"] for name in "abc"] == [3, 2, 3]
    assert (rows["a"]["median"], rows["a"]["min"], rows["a"]["max"]) == (4.0, 1.0, 7.0)


def test_ratios_and_differences_are_of_one_round(bench: Bench) -> None:
    for upper, lower in ((4.0, 2.0), (9.0, 3.0)):
        bench.add("upper", Measured("time", "s", upper))
        bench.add("lower", Measured("time", "s", lower))
    bench.ratio("upper / lower", "upper", "lower", "time")
    bench.difference("upper − lower", "upper", "lower", "time", "s")
    values = {row["case"]: row["values"] for row in bench.rows()}
    assert values["upper / lower"] == [2.0, 3.0]
    assert values["upper − lower"] == [2.0, 6.0]


def test_a_failed_case_is_reported_and_stops_no_other(bench: Bench) -> None:
    def broken() -> Iterator[Measured]:
        yield Measured(
            "time", "s", command(["sh", "-c", "echo why >&2; exit 3"], timeout_s=9).seconds
        )

    bench.compare(
        Case("broken", broken),
        Case("well", lambda: [Measured("time", "s", 1.0)]),
        repeats=2,
    )
    rows = {row["case"]: row for row in bench.rows()}
    assert bench.failed
    assert (rows["well"]["n"], rows["broken"]["n"], rows["broken"]["median"]) == (2, 0, None)
    assert "ended with 3: why" in rows["broken"]["note"]


def test_json_has_the_shape_that_scripts_rely_on(bench: Bench, tmp_path: Path) -> None:
    bench.add("a case", Measured("time", "s", 2.5))
    bench.leave_out("another", "too slow")
    write(bench.rows(), tmp_path / "new" / "rows.json")
    rows = json.loads((tmp_path / "new" / "rows.json").read_text())
    assert all(row.keys() >= SHAPE for row in rows)
    assert table(rows, "trial").row_count == 2


@pytest.mark.parametrize(
    ("value", "words"),
    [(1_160_000.4, "1,160,000"), (31.26, "31.3"), (2.314, "2.31"), (0.0431, "0.043"), (0.0, "0")],
)
def test_figures_are_short(value: float, words: str) -> None:
    assert figure(value) == words


def test_a_command_that_is_too_slow_leaves_no_process() -> None:
    before = set(psutil.Process().children(recursive=True))  # engines of other tests
    with pytest.raises(subprocess.TimeoutExpired):
        command(["sh", "-c", "sleep 600 & sleep 600"], timeout_s=0.3)
    assert set(psutil.Process().children(recursive=True)) <= before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_writes_its_results_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    told = tmp_path / "rows.json"
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(BENCH), "--json", str(told)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        process = psutil.Process(started.pid)
        wait_for(lambda: len(process.children(recursive=True)) == 2)
        below = process.children(recursive=True)
        started.send_signal(number)
        out, err = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "quick" in out
    assert "interrupted" in err
    assert [row["case"] for row in json.loads(told.read_text())] == ["quick"]
    wait_for(lambda: not any(child.is_running() for child in below), 5)
