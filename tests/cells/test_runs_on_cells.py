"""Two runs of a cluster side by side, their removal and notifications, on the cells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.bringup.running import AlreadyRunningError
from tenfold.planning.notify import NotifyTarget
from tenfold.retention.selection import by_name
from tenfold.run.eventlog import read_events
from tenfold.run.rundir import every
from tests.cells.grounds import Docker, Ground, Slurm
from tests.conftest import wait_for
from tests.plans import shell

pytestmark = pytest.mark.timeout(300, func_only=True)

URL = "http://127.0.0.1:9/services/T0AAAA9/abc12345xyz"


@pytest.fixture(params=["docker", "slurm"])
def ground(request: pytest.FixtureRequest, runs: Path, tmp_path: Path) -> Iterator[Ground]:
    home = tmp_path / "home"
    home.mkdir()
    made: Ground
    if request.param == "docker":
        made = Docker(str(request.getfixturevalue("light_image")), runs, home)
    else:
        request.getfixturevalue("slurm")
        made = Slurm(runs, home)
    yield made
    for run in made.started:
        run.stop(kill=True, timeout_s=60)


def test_runs_side_by_side_are_stopped_notified_and_removed(ground: Ground) -> None:
    target = NotifyTarget(URL, on=("ended", "failed"))
    plan = ground.plan(shell("chief", "echo begun; exec sleep 600"), notify=target)
    first = ground.begin(plan)
    assert first.wait(120, for_state=("running",))["state"] == "running"
    with pytest.raises(AlreadyRunningError, match="c is already running"):
        up(plan, runs=ground.runs, another=False)
    second = ground.begin(plan)
    assert second.wait(120, for_state=("running",))["state"] == "running"
    assert first.status()["state"] == "running"

    chosen = by_name(ground.runs, [first.directory, second.directory], force=True)
    assert [kept.why for kept in chosen.kept] == ["it is running"] * 2
    for run in (first, second):
        assert run.stop(timeout_s=90)["state"] == "stopped"
        wait_for(lambda run=run: not ground.left(run))  # type: ignore[misc]
        told = [event for event in read_events(run.directory.events)[0] if "notif" in event.kind]
        assert [(event.kind, event.text("about")) for event in told] == [("notify-failed", "ended")]
        assert "refused" in str(told[0].text("message")), "the supervisor knew the URL"
        for path in run.directory.path.rglob("*"):
            if path.is_file():
                assert b"abc12345xyz" not in path.read_bytes(), path

    assert ground.tenfold("rm", "c", "--all", "-y").returncode == 0
    assert list(every(ground.runs)) == []
