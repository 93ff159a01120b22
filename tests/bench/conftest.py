"""The bench scripts lie in bench/ and import each other from there; a bench to try them on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"

if str(BENCH) not in sys.path:
    sys.path.insert(0, str(BENCH))  # before examples/word2vec, which has a train.py too

from measure import Bench, Row  # noqa: E402
from tests.conftest import survivors, wait_for  # noqa: E402


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench of one repeat; at the end no process of its runs may be left."""
    home = tmp_path.resolve()
    yield Bench("trial", home, repeats=1, quick=True)
    wait_for(lambda: not any(survivors(run) for run in home.glob("*/runs/*/*")), 10)


def measured(bench: Bench) -> dict[tuple[str, str], Row]:
    """Rows by case and metric; fails the test if a case failed."""
    assert not bench.failed, bench.notes
    return {(row["case"], row["metric"]): row for row in bench.rows()}
