"""Every way to launch answers, is measured, and leaves nothing."""

from __future__ import annotations

import shutil

import pytest

import launch
from measure import Bench

from .conftest import measured

pytestmark = pytest.mark.usefixtures("lean_tensorflow")

ALONE = pytest.mark.skipif(
    not (shutil.which("unshare") and shutil.which("ip")), reason="needs unshare and ip"
)


@ALONE
def test_servers_in_every_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_IMPORT", "import json")  # the unit; the servers import enough
    launch.servers(bench, 2, repeats=1, slow_repeats=1)
    rows = measured(bench)
    for way in ("tenfold", "one process each", "shell script"):
        assert rows[f"2 servers: {way}", "memory"]["median"] > 100
        assert rows[f"2 servers: {way}", "time"]["unit"] == "s"
    assert ("2 servers: tenfold / one import", "ratio") in rows
    assert ("2 servers: tenfold / one process each, memory", "ratio") in rows


def test_trivial_tasks_against_honcho(bench: Bench) -> None:
    launch.against_honcho(bench, 3)
    rows = measured(bench)
    assert {("3 trivial tasks: tenfold", "time"), ("3 trivial tasks: honcho", "time")} <= set(rows)


def test_measurements_that_take_too_long_are_omitted_with_a_reason() -> None:
    assert launch.too_slow(2) is None
    assert "left out" in (launch.too_slow(64) or "")
