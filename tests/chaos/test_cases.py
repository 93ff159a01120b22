"""Short forms of cases that need no framework, for real. The long ones are `make chaos`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from chaos import ROOT
from chaos.trial import Row

SHORT = (
    *("damaged-state", "damaged-checkpoints", "supervisor-calls", "flood", "own-modules"),
    *("wrapped-stops", "stray-signals", "inherited-signals", "ignores-term", "disk-full-logs"),
)
ALONE = ("out-of-memory",)
"""It kills for want of memory (see tests/lanes.py)."""


@pytest.fixture(scope="module")
def rows(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Row]:
    """What came of the chosen cases. In a process of their own: some give it mounts of its own."""
    chosen = [item for item in request.session.items if item.path == request.path]
    names = [
        str(item.callspec.params["name"]) for item in chosen if isinstance(item, pytest.Function)
    ]
    told = tmp_path_factory.mktemp("chaos") / "rows.json"
    options = ("--quick", "--json", str(told), "--keep", str(told.with_name("failed")))
    argv = [sys.executable, "-m", "chaos.run", *options, *names]
    subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=570, check=False)
    return {row["case"]: row for row in json.loads(told.read_text())}


@pytest.mark.parametrize(
    "name", [*SHORT, *(pytest.param(name, marks=pytest.mark.alone) for name in ALONE)]
)
def test_a_case_passes_all_its_checks(rows: dict[str, Row], name: str) -> None:
    row = rows[name]
    if row["left_out"]:
        pytest.skip(row["left_out"])
    failed = [
        f"{one['asked']}: {one['measured']}"
        for one in row["checks"]
        if not (one["ok"] or one["timed"])  # limits in seconds are for `make chaos`, alone
    ]
    assert row["checks"]
    assert not row["error"], failed
    assert failed == []
