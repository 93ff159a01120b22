"""`tenfold map`, as people and programs read it."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from tests.cli.desk import Desk
from tests.dashboard.fake_runs import FakeRun


def test_a_map_in_every_form(desk: Desk) -> None:
    with FakeRun(desk.runs) as run:
        run.flow(5.0)
        table = desk.tenfold("map")
        assert table.code == 0
        assert "FROM" in table.out
        assert len([line for line in table.out.splitlines() if line.startswith("ps/")]) == 32
        said = json.loads(desk.tenfold("map", "--json").out)
        assert said["version"] == 1
        pairs = {(e["from"], e["to"]) for e in said["edges"] if e["bytes"] > 0}
        assert {("chief/0", "ps/3"), ("chief/0", "worker/7"), ("ps/3", "worker/7")} <= pairs
        keys = {"from", "to", "bytes", "rate_bytes_s", "connections", "planned", "mark"}
        assert keys <= said["edges"][0].keys()
        ElementTree.fromstring(desk.tenfold("map", "--svg").out)
        assert desk.tenfold("map", "--dot").out.startswith("graph ")


def test_many_edges_are_shown_by_job(desk: Desk) -> None:
    with FakeRun(desk.runs, {"chief": 1, "ps": 5, "worker": 60}):
        short = desk.tenfold("map").out
        assert "365 edges; --all shows each" in short
        assert "ps/0" not in short
        assert "ps/0" in desk.tenfold("map", "--all").out


def test_following_ends_with_the_run(desk: Desk) -> None:
    run = FakeRun(desk.runs)
    with run:
        run.flow(1.0)
    followed = desk.tenfold("map", "-f", "--json")
    assert followed.code == 0
    assert len(followed.out.splitlines()) == 1


def test_a_picture_cannot_be_combined_with_follow(desk: Desk) -> None:
    refused = desk.tenfold("map", "--svg", "-f")
    assert refused.code == 2
    assert "--svg cannot be combined with -f or --json" in refused.err
