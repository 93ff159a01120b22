"""The dashboard's bench, on a cluster that is small."""

from __future__ import annotations

import pytest

import dashboard
from measure import Bench
from tests.engines import packages

from .conftest import measured

SMALL = dashboard.Sizes(tasks=30, watched=20, log_mib=4, seconds=1.0)


@pytest.fixture(autouse=True)
def chromium() -> None:
    """Debian's."""
    packages.need(packages.CHROMIUM)


def test_everything_is_measured(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "QUICK", SMALL)
    dashboard.measure(bench)
    rows = measured(bench)
    assert {case for case, _ in rows} == {
        *("30 tasks: first page", "30 tasks: a task changes", "30 tasks: everything changes"),
        *("20 tasks: a page is open", "20 tasks: the overview is open"),
        *("20 tasks: no page is open", "a log of 4 MiB"),
    }
    for case, metric in (
        ("30 tasks: first page", "map drawn"),
        ("30 tasks: a task changes", "server + page"),
        ("30 tasks: everything changes", "server + page"),
        ("a log of 4 MiB", "on the page"),
    ):
        assert rows[case, metric]["median"] > 0
    assert rows["20 tasks: a page is open", "CPU of the dashboard"]["unit"] == "% of a core"
    assert not list(bench.home.glob("runs/*"))


def test_without_a_browser_it_is_left_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    dashboard.measure(bench)
    assert [row["median"] for row in bench.rows()] == [None]
