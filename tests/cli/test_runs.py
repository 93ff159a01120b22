"""Several runs of a cluster: started on purpose, chosen, tagged, removed. Real clusters."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import pytest

from tenfold.run.rundir import every
from tests.cli.desk import Desk

QUICK = "cluster: quick\njobs: {a: {run: 'true'}}\n"


def listed(desk: Desk, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(desk.tenfold("ps", "-a", "--json", *words).out)
    return found


def test_a_running_cluster_is_not_started_again_by_accident(desk: Desk) -> None:
    assert desk.tenfold("up", "-d").code == 0
    for words in (("up", "-d"), ("up",)):
        said = desk.tenfold(*words)
        assert said.code == 2
        assert "demo is already running for" in said.err
        assert "(4 running)" in said.err
        for offer in ("tenfold restart chief/0", "tenfold down demo", "tenfold up --another"):
            assert offer in said.err
    assert len(listed(desk)) == 1
    assert desk.tenfold("up", "-d", "--another").code == 0
    first, second = listed(desk)
    assert (first["state"], second["state"]) == ("running", "running")

    said = desk.tenfold("down", "demo")
    assert said.code == 2
    assert "2 runs of demo are up" in said.err
    assert f"tenfold down demo/{second['run']}" in said.err
    assert [run["state"] for run in listed(desk)] == ["running", "running"]
    assert desk.tenfold("stop").code == 2, "which one is not clear"
    assert desk.tenfold("stop", f"demo/{first['run']}").code == 0
    assert [run["state"] for run in listed(desk)] == ["stopped", "running"]
    assert desk.tenfold("down", "demo").code == 0, "one is left"
    assert desk.tenfold("up", "-d").code == 0, "none is up"
    assert desk.tenfold("down", "--all").code == 0


def test_two_simultaneous_starts_make_one_run(desk: Desk) -> None:
    codes: list[int] = []
    both = [
        threading.Thread(target=lambda: codes.append(desk.tenfold("up", "-d").code))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(codes) == [0, 2]
    assert desk.tenfold("down").code == 0


@pytest.mark.parametrize("isolation", ["auto", "none"])
def test_runs_side_by_side_have_their_own_ports(desk: Desk, isolation: str) -> None:
    for words in ((), ("--another",)):
        assert desk.tenfold("up", "-d", "--isolation", isolation, *words).code == 0
    addresses = [
        json.loads(desk.tenfold("ps", f"demo/{run['run']}", "--json").out)["tasks"][0]["address"]
        for run in listed(desk)
    ]
    assert isolation == "auto" or len(set(addresses)) == 2
    assert all(run["state"] == "running" for run in listed(desk))
    assert desk.tenfold("down", "--all").code == 0


def test_tags_and_notes_are_shown_and_filtered(desk: Desk) -> None:
    desk.write(QUICK)
    assert desk.tenfold("up", "--tag", "baseline", "--tag", "lr=0.1", "--note", "first").code == 0
    assert desk.tenfold("up", "--tag", "other").code == 0
    first, second = listed(desk)
    assert (first["tags"], first["note"]) == (["baseline", "lr=0.1"], "first")
    assert first["size"] > 0
    assert first["started"] > 1e9
    assert listed(desk, "--tag", "baseline") == [first]
    assert listed(desk, "--tag", "baseline", "--tag", "other") == []
    table = desk.tenfold("ps", "-a", "--tag", "lr=0.1").out
    assert "baseline, lr=0.1" in table
    assert "first" in table

    name = f"quick/{second['run']}"
    assert desk.tenfold("tag", name, "good", "-d", "other").code == 0
    assert desk.tenfold("tag", name).out == "good\n"
    assert desk.tenfold("note", name, "-", stdin="two\nlines").code == 0
    assert desk.tenfold("note", name, "--append", "more").code == 0
    assert desk.tenfold("note", "quick").out == "two\nlines\nmore\n"
    assert json.loads(desk.tenfold("tag", name, "--json").out)["tags"] == ["good"]
    assert desk.tenfold("note", name, "").code == 0
    assert listed(desk)[1]["note"] is None
    assert desk.tenfold("tag", name, "two words").code == 2
    assert desk.tenfold("up", "--tag", "a,b").code == 2
    assert len(listed(desk)) == 2, "a faulty tag starts nothing"


def test_old_runs_are_removed_only_when_asked_for(desk: Desk) -> None:
    desk.write(QUICK)
    for _ in range(3):
        assert desk.tenfold("up").code == 0
    before = listed(desk)
    assert desk.tenfold("prune").code == 2
    assert desk.tenfold("prune", "--keep", "1").code == 2, "nobody can be asked"
    assert desk.tenfold("prune", "--keep", "1", "--dry-run").code == 0
    told = json.loads(desk.tenfold("prune", "--keep", "1", "--dry-run", "--json").out)
    assert [run["run"] for run in told["removed"]] == [run["run"] for run in before[:2]]
    assert listed(desk) == before

    with desk.type("prune", "--keep", "2") as typed:
        typed.see(r"Remove 1 run and free .*\?")
        typed.press("n\n")
        assert typed.end() == 1
    assert listed(desk) == before
    with desk.type("prune", "--keep", "2") as typed:
        typed.see(r"Remove 1 run and free .*\?")
        typed.press("y\n")
        assert typed.end() == 0
    assert listed(desk) == before[1:]
    told = json.loads(desk.tenfold("prune", "--max-size", "0", "-y", "--json").out)
    assert told["freed"] == told["size"] > 0
    assert listed(desk) == []


def test_a_named_run_is_removed_unless_it_is_up(desk: Desk) -> None:
    assert desk.tenfold("up", "-d").code == 0
    said = desk.tenfold("rm", "demo", "-y")
    assert said.code == 1
    assert "stays: it is running" in said.err
    desk.tenfold("stop")
    assert desk.tenfold("up", "-d").code == 0
    first, second = listed(desk)
    said = desk.tenfold("rm", "demo", "-y")
    assert said.code == 2
    assert "2 runs of demo exist" in said.err
    assert desk.tenfold("rm", f"demo/{first['run']}", "-y").code == 0
    assert [run["run"] for run in listed(desk)] == [second["run"]]
    assert desk.tenfold("rm", "nobody", "-y").code == 2
    desk.tenfold("down")
    assert desk.tenfold("-f", "tenfold.yaml", "rm", "-y").code == 0
    assert list(every(desk.runs)) == []


def test_an_interrupted_removal_is_finished_by_the_next_one(desk: Desk) -> None:
    desk.write(QUICK)
    assert desk.tenfold("up").code == 0
    run = next(iter(every(desk.runs)))
    for number in range(20_000):
        (run.path / "results" / str(number)).touch()
    with desk.start("rm", "quick", "-y") as process:
        while run.path.exists():
            assert process.poll() is None or not run.path.exists()
        process.send_signal(signal.SIGKILL)
    assert listed(desk) == [], "it is there whole or not at all"
    assert desk.tenfold("prune", "--keep", "5").code == 0
    assert not list(desk.runs.glob("quick/.removing-*"))
