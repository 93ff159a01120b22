"""Runs whose supervisor is elsewhere are settled by their cell, and not too often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold import cells
from tenfold.cells.settling import Settler
from tenfold.errors import UnavailableError
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory
from tests.dashboard.fake_runs import FakeRun


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The runs that the cell was asked about; it never answers."""
    found: list[Path] = []

    class Silent:
        """A cell out of reach."""

        def settle(self, run: RunDirectory) -> None:
            found.append(run.path)
            raise UnavailableError("no answer")

    monkeypatch.setattr(cells, "client", lambda _: Silent())
    return found


def test_a_cell_is_asked_only_once_per_interval(tmp_path: Path, asked: list[Path]) -> None:
    with FakeRun(tmp_path / "runs", {"worker": 1}) as run:
        often, seldom = Settler(0.0), Settler(1000.0)
        often.settle(run.directory)
        assert asked == []
        write_json(run.directory.elsewhere, {"cell": "slurm"})
        for _ in range(3):
            often.settle(run.directory)
            seldom.settle(run.directory)
        assert len(asked) == 4
        run.end()
        often.settle(run.directory)
        assert len(asked) == 4
