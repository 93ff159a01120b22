"""`tenfold open`, and the dashboard that `up` starts, typed as a user types them."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.dashboard.launch import Running, running
from tests.cli.desk import Desk
from tests.conftest import wait_for

WANTED = {"TENFOLD_DASHBOARD": ""}
QUICK = 'cluster: quick\njobs: {a: {run: "echo done"}}\n'


@pytest.fixture
def dashboards(runs: Path) -> Iterator[Path]:
    """Ends the dashboard of `runs`."""
    yield runs
    if found := running(runs):
        os.kill(found.pid, signal.SIGKILL)


def alive(runs: Path) -> Running:
    """The dashboard of `runs`, which lives."""
    found = running(runs)
    assert found is not None
    return found


def test_up_prints_the_address_of_the_dashboard_early(desk: Desk, dashboards: Path) -> None:
    up = desk.tenfold("up", "-d", env=WANTED)
    assert up.code == 0
    found = alive(dashboards)
    (line,) = re.findall(r"^dashboard: (\S+)$", up.err, re.M)
    assert re.fullmatch(rf"{re.escape(found.url())}#/demo/[0-9-]+", line)
    assert up.err.index("dashboard:") < up.err.index("tenfold ps | logs -f | down")
    opened = desk.tenfold("open", "--no-browser", env={"SSH_CONNECTION": "1.1.1.1 1 2.2.2.2 22"})
    assert opened.out == f"{line}\n"
    assert f"ssh -N -L {found.port}:127.0.0.1:{found.port}" in opened.err
    told = json.loads(desk.tenfold("open", "--json").out)
    assert told == {"version": 1, "url": line, "pid": found.pid, "runs": str(dashboards)}
    other = desk.tenfold("open", "--no-browser", "--port", "9")
    assert f"already runs on port {found.port}" in other.err
    assert desk.tenfold("down").code == 0
    assert alive(dashboards).pid == found.pid


def test_an_attached_up_ends_while_its_dashboard_keeps_running(
    desk: Desk, dashboards: Path
) -> None:
    desk.write(QUICK)
    up = desk.tenfold("up", env=WANTED)  # reads its pipes to their end
    assert up.code == 0
    assert "dashboard: http" in up.err
    alive(dashboards)


@pytest.mark.parametrize(
    ("file", "words", "env"),
    [
        ("dashboard: false\n", (), WANTED),
        ("", ("--no-dashboard",), WANTED),
        ("dashboard: true\n", (), {}),
    ],
)
def test_up_starts_no_dashboard_when_it_is_turned_off(
    desk: Desk, dashboards: Path, file: str, words: tuple[str, ...], env: dict[str, str]
) -> None:
    desk.write(file + QUICK)
    up = desk.tenfold("up", *words, env=env)
    assert up.code == 0
    assert "dashboard:" not in up.err
    assert running(dashboards) is None


def test_a_dashboard_that_cannot_be_fails_no_run(desk: Desk, runs: Path) -> None:
    desk.write(QUICK)
    runs.mkdir()
    (runs / ".dashboard").write_text("in the way")
    up = desk.tenfold("up", env=WANTED)
    assert up.code == 0
    assert "cannot start the dashboard: " in up.err


def test_open_serves_until_ctrl_c(desk: Desk, dashboards: Path) -> None:
    process = desk.start("open", "--no-browser")
    assert process.stdout
    url = process.stdout.readline().decode().strip()
    wait_for(lambda: (found := running(dashboards)) and found.pid == process.pid)
    assert url == alive(dashboards).url()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"press Ctrl-C to stop it (clusters keep running)" in said
    assert b"Traceback" not in said
    assert running(dashboards) is None


def test_open_of_what_is_not_there(desk: Desk, dashboards: Path) -> None:
    opened = desk.tenfold("open", "nobody")
    assert opened.code == 2
    assert "nobody" in opened.err
    assert running(dashboards) is None
