"""Short forms of cases that need no framework, for real. The long ones are `make chaos`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chaos import ROOT
from chaos.trial import Row

pytestmark = pytest.mark.alone

SHORT = (
    *("ignores-term", "damaged-state", "damaged-checkpoints", "supervisor-calls", "flood"),
    *("disk-full-logs", "out-of-memory", "own-modules"),
    *("wrapped-stops", "stray-signals", "inherited-signals"),
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """What came of all of them. In a process of their own: some give it mounts of its own."""
    told = tmp_path_factory.mktemp("chaos") / "rows.json"
    options = ("--quick", "--json", str(told), "--keep", str(told.with_name("failed")))
    argv = [sys.executable, "-m", "chaos.run", *options, *SHORT]
    subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=480, check=False)
    return {row["case"]: row for row in json.loads(told.read_text())}


@pytest.mark.parametrize("name", SHORT)
def test_a_case_passes_all_its_checks(rows: dict[str, Row], name: str) -> None:
    row = rows[name]
    if row["left_out"]:
        pytest.skip(row["left_out"])
    failed = [f"{one['asked']}: {one['measured']}" for one in row["checks"] if not one["ok"]]
    assert row["ok"], [row["error"], *failed]
