"""The names of loopback's addresses in a run's namespace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tenfold.bringup.api import up
from tenfold.launch import namespace
from tenfold.launch.hosts import completed
from tenfold.run.logs import last_lines
from tests.conftest import wait_for
from tests.plans import plan_of, shell

ADDED = "# added by tenfold, for this run alone\n"
V4 = "::ffff:127.0.0.1 ip4-localhost\n"
V6 = "::1 ip6-localhost ip6-loopback\n"
OWN = "127.0.1.1 vm\n"


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("127.0.0.1 localhost vm\n", V4 + V6),
        ("127.0.0.1 localhost vm", "\n" + V4 + V6),
        ("127.0.0.1 localhost # vm\n", V4 + V6 + OWN),
        ("::1 localhost\n172.17.0.2\tVM vm.lab\n", V4),
        ("::1 a\n::FFFF:127.0.0.1 b vm\n", None),
        ("", V4 + V6 + OWN),
    ],
)
def test_lines_that_a_hosts_file_lacks_are_added_and_none_is_changed(
    text: str, added: str | None
) -> None:
    made = completed(text, "vm")
    if added is None:
        assert made == text
    else:
        gap = "\n" if added.startswith("\n") else ""
        assert made == text + gap + ADDED + added.removeprefix("\n")
    assert completed(made, "vm") == made


@pytest.mark.parametrize("name", ["", "two words", "#", "a\nb"])
def test_a_host_name_that_no_file_can_hold_is_left_out(name: str) -> None:
    assert completed("", name) == ADDED + V4 + V6


LOOK_UP = """
import socket
with socket.socket(socket.AF_INET6) as server:
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", 0))
    server.listen()
    with socket.create_connection(("127.0.0.1", server.getsockname()[1])):
        peer = server.accept()[1]
print(peer[0], socket.getnameinfo(peer, socket.NI_NAMEREQD)[0])
print(sorted({found[4][0] for found in socket.getaddrinfo("localhost", 1, socket.AF_INET)}))
print(socket.getaddrinfo(socket.gethostname(), 1)[0][4][0])
try:
    open("/etc/hosts", "a").write("127.0.0.1 mine")
except OSError:
    print("read-only")
"""


def test_a_task_can_look_up_the_name_of_a_peer_in_its_namespace(runs: Path) -> None:
    """What torch's store asks of every client; without an answer it warns in each log."""
    if namespace.refusal():
        pytest.skip("no namespace here")
    before = Path("/etc/hosts").read_bytes()
    run = up(
        plan_of(shell("chief", f"exec '{sys.executable}' -c '{LOOK_UP}'")),
        runs=runs,
        isolation="namespace",
    )
    assert run.wait(60)["state"] == "succeeded"
    lines = last_lines(run.directory.task("chief-0"), 10)
    peer, name = lines[0].split()
    assert (peer, name.count(":")) == ("::ffff:127.0.0.1", 0)
    assert lines[1] == "['127.0.0.1']"
    assert lines[2].startswith("127.")
    assert lines[3] == "read-only"
    assert Path("/etc/hosts").read_bytes() == before


def _mounts() -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if line.split()[1] in ("/etc/hosts", "/tmp")]


def test_nothing_of_the_mount_is_seen_outside(runs: Path) -> None:
    before = _mounts()
    run = up(plan_of(shell("chief", "sleep 600")), runs=runs)
    wait_for(lambda: run.status()["state"] == "running")
    assert _mounts() == before
    run.stop()
