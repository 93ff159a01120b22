"""One dashboard for a runs directory, whoever asks, whatever became of the one before."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.dashboard import launch, server
from tenfold.dashboard.app import Dashboard
from tenfold.dashboard.launch import Claim, DashboardDirectory, Running, claim, running, start
from tenfold.errors import InputError
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import every
from tests.conftest import wait_for

from .conftest import MakeRun


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """A place for runs; the dashboard that was started for it is gone at the end."""
    place = (tmp_path / "runs").resolve()
    yield place
    found = running(place)
    if found is not None:
        os.kill(found.pid, signal.SIGKILL)
        wait_for(lambda: ended(found.pid))


def ended(pid: int) -> bool:
    """Whether a process is gone; it is reaped if it is a child of this one."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False


def answer(found: Running) -> int:
    """The status of its page, its token shown."""
    connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=60)
    connection.request("GET", "/api/runs", headers={"Authorization": f"Bearer {found.token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_dashboard_responds_at_its_address_at_once(runs: Path) -> None:
    found = start(runs)
    assert answer(found) == 200
    assert running(runs) == found
    assert start(runs) == found
    assert claim(runs) == found
    place = DashboardDirectory(runs)
    assert stat.S_IMODE(place.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.directory.stat().st_mode) == 0o700
    assert found.token not in place.state.read_text()
    assert place.log.read_text() == ""
    assert list(every(runs)) == []
    assert os.getsid(found.pid) == found.pid
    assert os.getpriority(os.PRIO_PROCESS, found.pid) >= 10


def test_it_holds_nothing_of_who_started_it(runs: Path) -> None:
    code = f"from tenfold.dashboard.launch import *; print(start(Path({str(runs)!r})).pid)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid = int(done.stdout)  # the pipes have ended, though it goes on
    found = running(runs)
    assert found is not None
    assert answer(found) == 200
    targets = {os.readlink(f"/proc/{pid}/fd/{n}") for n in (0, 1, 2)}
    assert targets == {os.devnull, str(DashboardDirectory(runs).log)}
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_many_starts_at_once_are_one_process(runs: Path) -> None:
    code = f"from tenfold.dashboard.launch import *; print(start(Path({str(runs)!r})).url())"
    starters = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    said = {starter.communicate(timeout=60)[0] for starter in starters}
    assert len(said) == 1
    found = running(runs)
    assert found is not None
    assert said == {f"{found.url()}\n".encode()}


def test_after_a_crash_the_next_has_the_same_address(runs: Path) -> None:
    first = start(runs)
    assert answer(first) == 200
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: ended(first.pid))
    assert running(runs) is None
    second = start(runs)
    assert second.pid != first.pid
    assert second.url() == first.url()
    assert answer(second) == 200


def test_a_dashboard_of_another_version_is_replaced(runs: Path) -> None:
    first = start(runs)
    assert answer(first) == 200
    state = DashboardDirectory(runs).state
    write_json(state, (read_json(state) or {}) | {"tenfold": "0.0.1"})
    assert running(runs) is None
    second = start(runs)
    assert second.pid != first.pid
    assert ended(first.pid)
    assert (second.port, second.token) == (first.port, first.token)
    assert answer(second) == 200


@pytest.mark.parametrize("text", ["", "[", '{"pid": "x", "port": 0}', '{"pid": 1e99, "port": {}}'])
def test_a_damaged_state_is_no_state(runs: Path, text: str) -> None:
    DashboardDirectory(runs).directory.mkdir(parents=True)
    DashboardDirectory(runs).state.write_text(text)
    assert running(runs) is None
    assert answer(start(runs)) == 200


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("text", ["", "short", "x" * 20 + "\n\r;", "ü" * 30, "y" * 30])
def test_an_invalid_or_readable_token_is_replaced(runs: Path, text: str, mode: int) -> None:
    place = DashboardDirectory(runs)
    place.directory.mkdir(parents=True)
    place.token.write_text(text)
    place.token.chmod(mode)
    made = taken(runs)
    assert (made.token == text) == (text == "y" * 30 and mode == 0o600)
    assert len(made.token) >= 30
    assert stat.S_IMODE(place.token.stat().st_mode) == 0o600
    made.close()


def taken(runs: Path, port: int | None = None) -> Claim:
    """A claim of this process."""
    made = claim(runs, port)
    assert isinstance(made, Claim)
    return made


def test_a_port_that_is_taken(runs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}"):
            claim(runs, port)
        DashboardDirectory(runs).tell(None, port)
        made = taken(runs)
        assert made.port != port
        made.close()


def test_a_dashboard_directory_that_cannot_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep its files"):
        claim(tmp_path / "file")
    assert running(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


def test_the_ssh_tunnel_command_names_the_port_and_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 5000 10.0.0.2 22")
    assert launch.tunnel(10110).startswith("ssh -N -L 10110:127.0.0.1:10110 ")
    assert launch.tunnel(10110).endswith("@10.0.0.2")


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0.2)
    monkeypatch.setattr(server, "_LOOK_S", 0.02)


@pytest.mark.usefixtures("_hurried")
def test_the_dashboard_exits_when_it_is_not_needed(runs: Path) -> None:
    made = taken(runs)
    server.serve(made, ends_alone=True)
    assert (read_json(DashboardDirectory(runs).state) or {})["pid"] is None
    assert running(runs) is None


@pytest.mark.usefixtures("_hurried")
def test_the_dashboard_keeps_running_during_a_run(make_run: MakeRun, place: Path) -> None:
    run = make_run({"worker": 1})
    made = taken(place)

    async def test() -> None:
        dashboard = Dashboard(place, made.token)
        serving = server.Server(dashboard)
        told = asyncio.create_task(server._serve(serving, dashboard, made, True))
        await asyncio.sleep(1)
        assert not told.done()
        run.end()
        await asyncio.wait_for(told, 30)

    asyncio.run(test())
    made.close()


def test_a_run_that_is_just_starting_is_checked_again(make_run: MakeRun, place: Path) -> None:
    run = make_run({"worker": 1})
    run.kill()
    run.damage("status.json", "missing")
    life = server.RunsWatch(place)
    assert not life.any_alive()
    run.revive()
    assert life.any_alive()
    run.update(state="running")
    run.kill()
    assert not life.any_alive()
    run.revive()
    assert not life.any_alive()  # nothing revives a run in earnest


def test_a_run_that_starts_during_the_exit_keeps_the_dashboard(
    make_run: MakeRun, place: Path
) -> None:
    make_run({"worker": 1}).end()
    made = taken(place)
    life = server.RunsWatch(place)
    assert not life.any_alive()
    make_run({"worker": 1})
    assert not asyncio.run(server._gives_up(life, made, made.port))
    assert (read_json(DashboardDirectory(place).state) or {})["pid"] == os.getpid()
    made.close()
