"""The local cell with real processes, in a namespace of its own and without one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold.bringup.api import Run, up
from tenfold.errors import UnavailableError
from tenfold.launch import namespace
from tenfold.planning.plan import Plan, ReadinessCheck, RestartPolicy
from tenfold.run.eventlog import read_events
from tenfold.run.logs import last_lines
from tests.conftest import pid_of, survivors, wait_for
from tests.plans import listener, plan_of, shell


def _state(run: Run, name: str) -> str:
    return str(next(t["state"] for t in run.status()["tasks"] if t["task"] == name))


def _task(run: Run, name: str) -> dict[str, object]:
    return dict(next(t for t in run.status()["tasks"] if t["task"] == name))


def _lines(run: Run, label: str) -> list[str]:
    return last_lines(run.directory.task(label), 50)


def test_a_cluster_runs_to_its_end(runs: Path, isolation: str) -> None:
    chief = shell("chief", "echo hello; echo oops >&2; printf 'no newline'", after={"ps": "ready"})
    run = up(
        plan_of(chief, listener("ps", ready=ReadinessCheck("tcp"), service=True)),
        runs=runs,
        isolation=isolation,
    )
    status = run.wait(60)
    assert status["state"] == "succeeded"
    assert [t["state"] for t in status["tasks"]] == ["succeeded", "stopped"]
    assert _task(run, "chief/0")["exit_code"] == 0
    assert _task(run, "ps/0")["signal"] == "SIGTERM"
    assert sorted(_lines(run, "chief-0")) == ["hello", "no newline", "oops"]
    events, _ = read_events(run.directory.events)
    kinds = [event.kind for event in events]
    assert kinds.index("task-ready") < kinds.index("cluster-stopping")
    assert survivors(run.directory.path) == []


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 7", 7, None), ("kill -9 $$", None, "SIGKILL")]
)
def test_true_exits_and_the_first_failure(
    runs: Path, isolation: str, script: str, code: int | None, number: str | None
) -> None:
    lines = "for i in $(seq 30); do echo line $i; done; "
    run = up(
        plan_of(shell("chief", lines + script), shell("worker", "sleep 600")),
        runs=runs,
        isolation=isolation,
    )
    status = run.wait(60)
    assert status["state"] == "failed"
    first = status["first_failure"]
    assert (first["task"], first["exit_code"], first["signal"]) == ("chief/0", code, number)
    assert first["lines"] == [f"line {n}" for n in range(11, 31)]
    assert _state(run, "worker/0") == "stopped"


def test_a_task_that_ignores_sigterm_is_killed_with_its_tree(runs: Path, isolation: str) -> None:
    stubborn = "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600' & while :; do sleep 1; done"
    run = up(plan_of(shell("chief", stubborn), stop_grace_s=1.0), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    began = time.monotonic()
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert time.monotonic() - began < 15
    assert survivors(run.directory.path) == []


def test_remaining_processes_end_with_their_task(runs: Path, isolation: str) -> None:
    leaves = (
        "setsid sleep 600 & setsid sh -c 'setsid sleep 601 & sleep 602' & sleep 0.3; kill -9 $$"
    )
    worker = shell("worker", leaves, restart=RestartPolicy("on-failure", 1, 600.0))
    run = up(plan_of(shell("chief", "exec sleep 600"), worker), runs=runs, isolation=isolation)
    wait_for(lambda: _state(run, "worker/0") == "restarting", 20)
    wait_for(lambda: len(survivors(run.directory.path)) == 1, 5)  # the chief's sleep
    run.stop(kill=True, timeout_s=60)


def test_killed_supervisor_leaves_nothing(runs: Path, isolation: str) -> None:
    daemon = "setsid sh -c 'setsid sleep 600 & sleep 601' & trap '' TERM HUP; sleep 602 & wait"
    run = up(
        plan_of(shell("chief", daemon), listener("ps", service=True)),
        runs=runs,
        isolation=isolation,
    )
    run.wait(20, for_state=("running",))
    wait_for(lambda: len(survivors(run.directory.path)) >= 5)
    pid = int(_supervisor_pid(run))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: survivors(run.directory.path) == [], 2)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "supervisor" in status["reason"]
    assert {task["state"] for task in status["tasks"]} == {"lost"}


def _supervisor_pid(run: Run) -> int:
    from tenfold.run.jsonfiles import read_json

    return int((read_json(run.directory.status) or {})["supervisor_pid"])


def test_an_attached_run_ends_with_the_process_that_started_it(runs: Path, isolation: str) -> None:
    code = (
        "import sys, time; from tenfold.bringup.api import up; from tests.plans import *;"
        f"run = up(plan_of(shell('chief', 'sleep 600')), runs={str(runs)!r},"
        f" isolation={isolation!r}, attached=True);"
        "run.wait(20, for_state=('running',)); print(run.directory.path, flush=True);"
        "time.sleep(600)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root
    ) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        owner.kill()
    wait_for(lambda: survivors(directory) == [], 2)


def test_worker_is_restarted_on_its_address(runs: Path, isolation: str) -> None:
    worker = listener(
        "worker", restart=RestartPolicy("on-failure", 3, 0.1), ready=ReadinessCheck("tcp")
    )
    run = up(plan_of(shell("chief", "exec sleep 600"), worker), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    before = _task(run, "worker/0")
    os.kill(int(str(before["pid"])), signal.SIGKILL)
    wait_for(lambda: _task(run, "worker/0")["restarts"] == 1)
    wait_for(lambda: _state(run, "worker/0") == "running")
    after = _task(run, "worker/0")
    assert after["address"] == before["address"]
    assert after["pid"] != before["pid"]
    run.stop(timeout_s=60)


def test_a_killed_server_starts_the_training_again_in_its_order(runs: Path, isolation: str) -> None:
    together = RestartPolicy("on-failure", 3, 0.1, scope="cluster")
    chief = shell("chief", "echo begun; exec sleep 600", after={"ps": "ready"}, restart=together)
    run = up(
        plan_of(
            shell("fetch", "true", member=False),
            chief,
            listener("ps/0", ready=ReadinessCheck("tcp"), service=True, restart=together),
            listener("ps/1", ready=ReadinessCheck("tcp"), service=True, restart=together),
        ),
        runs=runs,
        isolation=isolation,
    )
    wait_for(lambda: _lines(run, "chief-0") == ["begun"])
    os.kill(pid_of(run, "ps/1"), signal.SIGKILL)
    wait_for(lambda: _lines(run, "chief-0") == ["begun", "begun"])
    assert [task["restarts"] for task in run.status()["tasks"]] == [0, 1, 1, 1]
    events, _ = read_events(run.directory.events)
    order = [e.task for e in events if e.kind in ("task-ready", "task-started")]
    assert order[-2:] == ["chief/0", "chief/0"], "it comes after both servers"
    (retried,) = (event for event in events if event.kind == "task-retried")
    assert (retried.task, retried.text("because")) == ("ps/1", "was killed by SIGKILL")
    assert {e.task for e in events if e.kind == "restarted-with"} == {"chief/0", "ps/0"}
    run.stop(timeout_s=60)


def test_restart_on_request(runs: Path, isolation: str) -> None:
    run = up(plan_of(shell("chief", "echo begun; sleep 600")), runs=runs, isolation=isolation)
    wait_for(lambda: _lines(run, "chief-0") == ["begun"])
    run.restart("chief/0")
    wait_for(lambda: _lines(run, "chief-0") == ["begun", "begun"])
    assert run.status()["state"] == "running"
    run.stop(timeout_s=60)


def test_a_stopped_task_receives_sigterm(runs: Path, isolation: str) -> None:
    chief = shell("chief", "trap 'echo saved; exit 3' TERM; echo begun; while :; do sleep .1; done")
    run = up(plan_of(chief, stop_grace_s=60.0), runs=runs, isolation=isolation)
    wait_for(lambda: _lines(run, "chief-0") == ["begun"])
    os.killpg(pid_of(run, "chief/0"), signal.SIGSTOP)
    run.stop(timeout_s=60)
    assert "saved" in _lines(run, "chief-0")
    assert _task(run, "chief/0")["exit_code"] == 3


def test_command_that_does_not_exist_fails_the_run_and_is_named(runs: Path, isolation: str) -> None:
    from tenfold.planning.plan import Task

    nothing = Task(job="chief", index=0, command=("no-such-program",), workdir="/tmp")
    status = up(plan_of(nothing), runs=runs, isolation=isolation).wait(60)
    assert status["state"] == "failed"
    assert "no-such-program: No such file or directory" in status["first_failure"]["words"]


@pytest.mark.parametrize("kind", ["http", "command", "log"])
def test_a_task_starts_after_its_dependency_is_ready(runs: Path, isolation: str, kind: str) -> None:
    served = (
        "sleep 0.5; touch $TENFOLD_RUN_DIRECTORY/ready; echo 'now ready: yes';"
        f"exec {sys.executable} -m http.server --bind 127.0.0.1 $${{TENFOLD_ADDRESS##*:}}"
    )
    target = {
        "http": "/",
        "command": "test -e ${run.directory}/ready",
        "log": "ready: y.s",
    }
    ready = ReadinessCheck(kind, target[kind])  # type: ignore[arg-type]
    run = up(
        plan_of(
            shell("chief", "exit 0", after={"web": "ready"}),
            shell("web", served, ready=ready, service=True),
        ),
        runs=runs,
        isolation=isolation,
    )
    assert run.wait(60)["state"] == "succeeded"
    web, chief = _task(run, "web/0"), _task(run, "chief/0")
    assert (
        float(str(chief["started"])) >= float(str(web["ready"])) > float(str(web["started"])) + 0.4
    )


def test_published_port_is_reached_from_this_machine(runs: Path, isolation: str) -> None:
    served = f"exec {sys.executable} -m http.server --bind 127.0.0.1 $TENFOLD_PORT_HTTP"
    web = shell(
        "web",
        served,
        ports={"http": None},
        publish=("http",),
        ready=ReadinessCheck("tcp", port="http"),
    )
    run = up(plan_of(web, success=("web",)), runs=runs, isolation=isolation)
    run.wait(20, for_state=("running",))
    url = str(_task(run, "web/0")["url"])
    import urllib.request

    with urllib.request.urlopen(url, timeout=5) as page:
        assert b"Directory listing" in page.read()
    run.stop(timeout_s=60)


def test_host_network_is_for_those_who_ask(runs: Path) -> None:
    _need_namespace()
    show = "readlink /proc/self/ns/net"
    run = up(
        plan_of(shell("chief", show), shell("out", show, network="host"), success=("chief", "out")),
        runs=runs,
        isolation="namespace",
    )
    assert run.wait(60)["state"] == "succeeded"
    host = str(Path("/proc/self/ns/net").readlink())
    assert _lines(run, "out-0") == [host]
    assert _lines(run, "chief-0") != [host]


def test_no_port_of_a_run_responds_from_outside(runs: Path) -> None:
    """From the host's network, and from a second namespace, on every address they have."""
    _need_namespace()
    run = up(
        plan_of(
            shell("chief", "exec sleep 600"),
            listener("ps", ready=ReadinessCheck("tcp"), service=True),
        ),
        runs=runs,
        isolation="namespace",
    )
    run.wait(20, for_state=("running",))
    port = int(str(_task(run, "ps/0")["address"]).rpartition(":")[2])
    assert not _answers(port)
    child = os.fork()
    if child == 0:
        namespace.enter_new_pid_namespace()
        namespace.enter_new_network()
        os._exit(1 if _answers(port) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    run.stop(timeout_s=60)


def _answers(port: int) -> bool:
    import psutil

    addresses = {a.address for known in psutil.net_if_addrs().values() for a in known
                 if a.family == socket.AF_INET}  # fmt: skip
    for address in addresses | {"127.0.0.1"}:
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex((address, port)) == 0:
                return True
    return False


def _need_namespace() -> None:
    if refusal := namespace.refusal():
        if os.environ.get("CI"):
            pytest.fail(f"no namespace on this CI machine: {refusal}")
        pytest.skip(f"this machine refuses namespaces: {refusal}")


def test_requiring_an_unavailable_namespace_is_refused(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from tenfold.cells import Handlers, Wishes
    from tenfold.cells.local.supervisor import LocalCell
    from tenfold.run.rundir import create

    monkeypatch.setattr(namespace, "refusal", lambda: "not here")
    made = plan_of(shell("chief", "true"))
    nobody = Handlers(lambda *_: None, lambda *_: None, lambda *_: None)
    cell = LocalCell(made, create(runs, "c"), nobody, Wishes("namespace"))
    with pytest.raises(UnavailableError, match="not here"):
        asyncio.run(cell.open(lambda _: None))


def test_two_runs_start_side_by_side_and_never_meet_a_taken_port(
    runs: Path, isolation: str
) -> None:
    """A short form; `TENFOLD_TEST_STARTS=200` is the long one."""
    rounds = int(os.environ.get("TENFOLD_TEST_STARTS", "6")) // 2
    for _ in range(rounds):
        pair = [up(_four_listeners(), runs=runs, isolation=isolation) for _ in range(2)]
        for run in pair:
            status = run.wait(60)
            assert status["state"] == "succeeded", status["first_failure"]


def _four_listeners() -> Plan:
    tasks = [listener(f"ps/{n}", 0.3) for n in range(4)]
    return plan_of(*tasks, success=("ps",))
