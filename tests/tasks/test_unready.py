"""Why a task is not ready: said while it waits, and at its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import up
from tenfold.planning.plan import ReadinessCheck, Task
from tenfold.run.eventlog import read_events
from tenfold.run.unready import UnreadyTask
from tenfold.tasks.listening import Listening, listening
from tenfold.views.live import LiveReader
from tenfold.views.status import status
from tenfold.views.why import account
from tests.conftest import wait_for
from tests.plans import plan_of, shell


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Listening(), "nothing listens on its main port 2225"),
        (
            Listening((("0.0.0.0", 6379), ("::", 6379), ("127.0.0.1", 80))),
            "nothing listens on its main port 2225; it listens on 80, 6379",
        ),
        (
            Listening(tuple(("::", port) for port in range(1, 9))),
            "nothing listens on its main port 2225; it listens on 1, 2, 3, 4, 5 and 3 more",
        ),
        (
            Listening((("::1", 2225),)),
            "it listens on ::1 port 2225 but accepts no connection there",
        ),
        (
            Listening((), (2225,)),
            "nothing listens on its main port 2225 by TCP; it uses that port by UDP",
        ),
        (
            Listening((), (5140, 514, 514)),
            "nothing listens on its main port 2225 by TCP; it uses 514, 5140 by UDP",
        ),
        (
            Listening((), (), ("/run/redis.sock",)),
            "nothing listens on its main port 2225; it listens on the Unix socket /run/redis.sock",
        ),
    ],
)
def test_a_task_that_listens_elsewhere_is_described(found: Listening, words: str) -> None:
    assert found.words(2225, "main") == words


SOCKETS = """
import os, socket, sys, time
a, b, c, d = socket.socket(), socket.socket(socket.AF_INET6), socket.socket(), socket.socket(socket.AF_UNIX)
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for one, address in ((a, ("127.0.0.1", 0)), (b, ("::1", 0)), (c, ("127.0.0.1", 0)), (d, sys.argv[1])):
    one.bind(address)
for one in (a, b, d): one.listen()
print(a.getsockname()[1], b.getsockname()[1], c.getsockname()[1], flush=True)
sys.stdin.read()
"""  # noqa: E501


def test_sockets_of_a_process_and_its_children_are_found(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    child = subprocess.Popen(
        ["sh", "-c", 'exec 3<&0; "$0" -c "$1" "$2" <&3 & wait', sys.executable, SOCKETS, path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    tcp, tcp6, udp = (int(word) for word in child.stdout.readline().split())
    found = listening(child.pid)
    assert set(found.tcp) == {("127.0.0.1", tcp), ("::1", tcp6)}
    assert found.udp == (udp,)
    assert found.unix == (path,)
    assert listening(1 << 30) == Listening()
    child.communicate(timeout=20)


SERVE = "import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 6379)); s.listen(); "
PAGE = (
    "import http.server, os; http.server.HTTPServer(('', int(os.environ['TENFOLD_ADDRESS']"
    ".split(':')[1])), http.server.SimpleHTTPRequestHandler).serve_forever()"
)
NO_HTTP = (
    "import os, socket\ns = socket.create_server(('', int(os.environ['TENFOLD_ADDRESS']"
    ".split(':')[1])))\nwhile True:\n    c, _ = s.accept(); c.sendall(b'SSH-2.0 hello world'); "
    "c.recv(999); c.close()"
)


def _python(code: str, ready: ReadinessCheck) -> Task:
    return Task("ps", 0, (sys.executable, "-c", code), workdir="/tmp", ready=ready)


WAITING = {
    "another port": (
        _python(SERVE + "time.sleep(600)", ReadinessCheck("tcp")),
        "nothing listens on its main port *; it listens on 6379"),
    "a missing page": (
        _python(PAGE, ReadinessCheck("http", "/health")), "it answers 404 at /health"),
    "no HTTP": (_python(NO_HTTP, ReadinessCheck("http", "/")),
        "it does not respond with HTTP at /"),
    "a failing command": (
        shell("ps", "sleep 600",
              ready=ReadinessCheck("command", "sh -c 'echo no database >&2; exit 3'")),
        "its readiness command exits with code 3 (no database)"),
    "a command that does not exist": (
        shell("ps", "sleep 600", ready=ReadinessCheck("command", "no-such-program x")),
        "its readiness command cannot be started: no-such-program*No such file or directory"),
    "a command that is killed": (
        shell("ps", "sleep 600", ready=ReadinessCheck("command", "sh -c 'kill -9 $$'")),
        "its readiness command is killed by SIGKILL"),
    "a command that takes too long": (
        shell("ps", "sleep 600", ready=ReadinessCheck("command", "sleep 50")),
        "its readiness command has not ended yet"),
    "a line that does not come": (
        shell("ps", "echo Ready; echo to go; sleep 600",
              ready=ReadinessCheck("log", "ready to go")),
        "no line of its output matches 'ready to go' (2 lines so far)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITING)
def test_a_run_reports_early_why_a_task_is_not_ready(runs: Path, name: str) -> None:
    task, pattern = WAITING[name]
    begin, _, end = pattern.partition("*")
    run = up(plan_of(shell("chief", "true", after={"ps": "ready"}), task), runs=runs)

    def told() -> list[dict[str, Any]]:
        return [e.to_json() for e in read_events(run.directory.events)[0] if e.kind == "task-waits"]

    wait_for(lambda: any(e["words"].startswith(begin) for e in told()))
    words = told()[-1]["words"]
    assert words.startswith(begin)
    assert words.endswith(end)
    now = status(run.directory)
    assert {one.task: one.waits for one in now.tasks} == {"chief/0": None, "ps/0": words}
    found = account(run.directory).to_json()
    assert found["headline"].startswith(f"c is starting: waiting for ps/0: {words} (")
    assert LiveReader(run.directory).read().warning == f"waiting for ps/0: {words}"
    run.stop()


def test_a_task_that_was_never_ready_ends_with_the_reason(runs: Path) -> None:
    task = _python(SERVE + "time.sleep(600)", ReadinessCheck("tcp", timeout_s=5.0))
    run = up(plan_of(shell("chief", "true", after={"ps": "ready"}), task), runs=runs)
    assert run.wait(40)["state"] == "failed"
    headline = account(run.directory).headline
    assert headline.startswith(
        "c failed: ps/0 was not ready after 5 s: nothing listens on its main port "
    )
    assert "; it listens on 6379" in headline
    assert not run.directory.task("ps-0").unready.exists()


def test_the_reason_is_removed_when_a_task_is_ready(runs: Path) -> None:
    late = f"import time; time.sleep(3); {PAGE}"
    ps = _python(late, ReadinessCheck("tcp"))
    run = up(plan_of(shell("chief", "true", after={"ps": "ready"}), ps), runs=runs)
    assert run.wait(40)["state"] == "succeeded"
    assert not run.directory.task("ps-0").unready.exists()
    assert all(task.waits is None for task in status(run.directory).tasks)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"words": 3}', '{"words": ""}', "{"])
def test_a_text_that_a_task_forged_stops_no_reader(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tasks" / "a-0" / "unready.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    said = UnreadyTask.read(path)
    assert said is None or said.shown is None
    assert UnreadyTask(words="x" * 9999).shown == "x" * 300
