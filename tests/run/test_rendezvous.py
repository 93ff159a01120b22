"""Addresses and held ports, with real processes on both sides."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.errors import InputError, TenfoldError
from tenfold.run.rendezvous import HeldPort, announce, hold_port, known, publish, wait_for
from tenfold.run.rundir import RunDirectory, create

PEER = """
import sys
from pathlib import Path
from tenfold.run.rendezvous import publish, wait_for
from tenfold.run.rundir import RunDirectory
run, me, other = RunDirectory(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
sys.stdin.readline()
run.task(me).path.mkdir(exist_ok=True)
publish(run, me, me + ":1")
print(wait_for(run, [other, me], 60))
"""
HOLD = """
import sys
from tenfold.run.rendezvous import hold_port
held = [hold_port() for _ in range(int(sys.argv[1]))]
print(*(one.port for one in held), flush=True)
sys.stdin.read()
"""


@contextmanager
def _python(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run directory with nothing in it."""
    return create(tmp_path, "c")


@pytest.fixture
def held() -> Iterator[list[HeldPort]]:
    """Ports that are given back at the end."""
    ports: list[HeldPort] = []
    yield ports
    for port in ports:
        port.close()


def test_two_processes_wait_for_each_other(run: RunDirectory) -> None:
    with (
        _python(PEER, str(run.path), "a-0", "b-0") as a,
        _python(PEER, str(run.path), "b-0", "a-0") as b,
    ):
        for process in (b, a):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        both = {"a-0": "a-0:1", "b-0": "b-0:1"}
        assert [eval(_line(process)) for process in (a, b)] == [both, both]


def test_tasks_without_an_address_are_named(run: RunDirectory) -> None:
    announce(run, {"worker-1": "w:1"})
    wanted = [f"worker-{n}" for n in range(9)]
    with pytest.raises(TenfoldError) as raised:
        wait_for(run, wanted, 0.0)
    assert raised.value.message == (
        "no address after 0 s from worker-0, worker-2, worker-3, worker-4, worker-5 and 3 more"
    )


def test_missing_addresses_are_reported_while_waiting(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []

    def hear(missing: list[str]) -> None:
        told.append(missing)
        announce(run, {"ps-0": "p:1", "ps-1": "p:2"})

    monkeypatch.setattr("tenfold.run.rendezvous.WORD_S", 0.0)
    announce(run, {"ps-1": "p:2"})
    assert wait_for(run, ["ps-0", "ps-1"], 60, hear) == {"ps-0": "p:1", "ps-1": "p:2"}
    assert told == [["ps-0"]]


def test_a_task_knows_its_address_best(run: RunDirectory) -> None:
    run.task("a-0").path.mkdir()
    announce(run, {"a-0": "old:1", "b-0": "b:1"})
    publish(run, "a-0", "new:2")
    assert known(run, ["a-0", "b-0", "c-0"]) == {"a-0": "new:2", "b-0": "b:1"}


@pytest.mark.parametrize("text", ["", "{", '{"address": 5}', "[]", '{"address"'])
def test_damaged_address_is_no_address(run: RunDirectory, text: str) -> None:
    run.task("a-0").path.mkdir()
    (run.task("a-0").path / "address.json").write_text(text)
    assert known(run, ["a-0"]) == {}


def test_two_holders_never_get_the_same_port(held: list[HeldPort]) -> None:
    held += [hold_port() for _ in range(50)]
    with _python(HOLD, "100") as one, _python(HOLD, "100") as two:
        ports = [held_port.port for held_port in held]
        ports += [int(port) for process in (one, two) for port in _line(process).split()]
    assert len(ports) == len(set(ports)) == 250


def test_wanted_port_that_another_process_holds(held: list[HeldPort]) -> None:
    with _python(HOLD, "1") as other:
        port = int(_line(other))
        with pytest.raises(InputError, match=f"port {port} is taken"):
            hold_port(port)
        held.append(hold_port(prefer=port))
        assert held[0].port > port
    held.append(hold_port(port))
    assert held[1].port == port


def test_a_port_used_by_another_program_is_not_chosen(held: list[HeldPort]) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with pytest.raises(InputError, match="is taken"):
            hold_port(port)
        held.append(hold_port(prefer=port))
        assert held[0].port != port


def test_reuseport_joins_a_held_port_and_nothing_else_does(held: list[HeldPort]) -> None:
    held.append(hold_port())
    port = held[0].port
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind(("127.0.0.1", port))
    with socket.socket() as joining:
        joining.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        joining.bind(("", port))
        joining.listen()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            joining.accept()[0].close()


def test_released_port_is_the_tasks_but_still_no_other_runs(held: list[HeldPort]) -> None:
    held.append(hold_port())
    port = held[0].port
    held[0].release()
    with pytest.raises(InputError, match="is taken"):
        hold_port(port)
    with socket.socket() as task:
        task.bind(("", port))
        task.listen()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: cannot be two users")
def test_a_port_that_one_user_had_is_free_for_the_next() -> None:
    held = hold_port()
    port = held.port
    held.close()

    def as_user(uid: int) -> int:
        child = os.fork()
        if child == 0:
            os.setuid(uid)
            try:
                hold_port(port).close()
            except InputError:
                os._exit(1)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert [as_user(uid) for uid in (65_533, 65_532, 65_533)] == [0, 0, 0]
