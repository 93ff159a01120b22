"""The contract of every cell (docs/cells/contract.md), tried on each of them for real.

Docker runs in the engine, and Slurm in the four nodes, that tests/engines provides. `own` is a cell
that only these tests have.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run
from tenfold.cells import secrets_of
from tenfold.cluster.cell_table import CELLS, traits
from tenfold.planning.plan import HangPolicy, ReadinessCheck, RestartPolicy, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import LogReader, last_lines
from tenfold.traffic.samples import UsageSample, all_samples
from tenfold.views.live import LiveReader
from tests.cells.grounds import ROOT, Docker, Ground, Own, Slurm, own_table
from tests.cells.talkers import server, talker
from tests.conftest import wait_for
from tests.plans import LISTEN, shell

pytestmark = pytest.mark.timeout(300, func_only=True)  # the first test makes images


@pytest.fixture(params=["local", "docker", "slurm", "own"])
def ground(
    request: pytest.FixtureRequest, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ground]:
    """Each cell in turn; at the end nothing of any run may be left on it."""
    home = tmp_path / "home"
    home.mkdir()
    made: Ground
    match request.param:
        case "docker":
            made = Docker(str(request.getfixturevalue("light_image")), runs, home)
        case "slurm":
            request.getfixturevalue("slurm")
            made = Slurm(runs, home)
        case "own":
            for name, value in own_table(tmp_path).items():
                monkeypatch.setenv(name, value)
            monkeypatch.setitem(CELLS, "own", "tests.cells.own")
            made = Own(runs, home)
        case name:
            made = Ground(name, runs, home)
    yield made
    for run in made.started:
        run.stop(kill=True, timeout_s=60)
        wait_for(lambda run=run: not made.left(run), 20)  # type: ignore[misc]


def _task(run: Run, name: str) -> dict[str, Any]:
    return dict(next(task for task in run.status()["tasks"] if task["task"] == name))


def _lines(run: Run, label: str) -> list[str]:
    return last_lines(run.directory.task(label), 50)


def _kinds(run: Run) -> list[tuple[str, str | None]]:
    events, _ = read_events(run.directory.events)
    return [(event.kind, event.task) for event in events]


def _listener(ground: Ground, name: str, seconds: float = 600, **more: Any) -> Task:
    job, _, index = name.partition("/")
    command = (ground.python, "-c", LISTEN, str(seconds))
    return Task(job=job, index=int(index or 0), command=command, workdir="/tmp", **more)


def _reach(ground: Ground, address: str) -> str:
    """A shell line that connects to an address."""
    code = "import socket, sys; socket.create_connection(sys.argv[1].rsplit(':', 1), 5).close()"
    return f'{ground.python} -c "{code}" {address}'


def test_a_cluster_comes_up_in_order_and_ends(ground: Ground) -> None:
    reach = _reach(ground, "${jobs.ps.addresses}")
    chief = shell("chief", f"{reach} && echo reached; echo oops >&2; printf 'no newline'",
                  after={"ps": "ready"})  # fmt: skip
    run = ground.up(chief, _listener(ground, "ps", ready=ReadinessCheck("tcp"), service=True))
    status = run.wait(120)
    assert status["state"] == "succeeded", (status["reason"], _lines(run, "chief-0"))
    assert [task["state"] for task in status["tasks"]] == ["succeeded", "stopped"]
    assert _task(run, "chief/0")["exit_code"] == 0
    assert _task(run, "ps/0")["signal"] == "SIGTERM"
    assert sorted(_lines(run, "chief-0")) == ["no newline", "oops", "reached"]
    kinds = _kinds(run)
    order = [("task-started", "ps/0"), ("task-ready", "ps/0"), ("task-started", "chief/0"),
             ("task-exited", "chief/0"), ("task-exited", "ps/0"),
             ("cluster-succeeded", None)]  # fmt: skip
    assert sorted(order, key=kinds.index) == order
    for task in status["tasks"]:
        assert task["address"]
        assert task["host"]
    wait_for(lambda: ground.left(run) == [], 20)  # a Slurm job ends just after its supervisor


def test_one_address_of_a_job_is_filled_in_and_a_run_survives_a_job_that_is_not_needed(
    ground: Ground,
) -> None:
    reach = _reach(ground, "${jobs.ps.addresses.1}")
    chief = shell("chief", f"sleep 1; {reach} && echo reached", after={"ps": "ready"})
    servers = [
        _listener(ground, f"ps/{n}", ready=ReadinessCheck("tcp"), service=True) for n in (0, 1)
    ]
    run = ground.up(chief, *servers, shell("extra", "exit 3", needed=False))
    status = run.wait(120)
    assert status["state"] == "succeeded", (status["reason"], _lines(run, "chief-0"))
    assert _lines(run, "chief-0") == ["reached"]
    assert (_task(run, "extra/0")["state"], _task(run, "extra/0")["exit_code"]) == ("failed", 3)


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [("exit 7", 7, None), ("kill -9 $$", None, "SIGKILL"), ("kill $$", None, "SIGTERM")],
)
def test_true_exits_and_the_failing_task_first(
    ground: Ground, script: str, code: int | None, number: str | None
) -> None:
    lines = "for i in $(seq 30); do echo line $i; done; sleep 0.3; "
    run = ground.up(shell("chief", lines + script), shell("worker", "exec sleep 600"))
    status = run.wait(120)
    assert status["state"] == "failed"
    first = status["first_failure"]
    assert (first["task"], first["exit_code"], first["signal"]) == ("chief/0", code, number)
    assert first["lines"] == [f"line {n}" for n in range(11, 31)]
    assert _task(run, "worker/0")["state"] == "stopped"


def test_traffic_between_tasks_is_measured(ground: Ground) -> None:
    if ground.name == "own":
        pytest.skip("this cell samples nothing")
    workers = [talker(ground.python, index) for index in range(2)]
    run = ground.up(server(ground.python), *workers, success=("worker",))
    status = run.wait(120)
    assert status["state"] == "succeeded", (status["reason"], _lines(run, "worker-0"))
    shown = json.loads(ground.tenfold("map", "--json", run.directory.cluster).stdout)
    edges = {(edge["from"], edge["to"]): edge for edge in shown["edges"]}
    assert set(edges) == {("ps/0", "worker/0"), ("ps/0", "worker/1")}
    for edge in edges.values():
        assert edge["bytes_from"] == pytest.approx(10 << 20, abs=2)
        assert edge["mark"] == "as planned"
    for label in ("ps-0", "worker-0", "worker-1"):
        samples = all_samples(UsageSample, run.directory.task(label).usage)
        assert any(sample.memory for sample in samples)  # the last may be of its end


def test_a_command_that_is_not_there_is_named(ground: Ground) -> None:
    nothing = Task(job="chief", index=0, command=("no-such-program",), workdir="/tmp",
                   restart=RestartPolicy("on-failure", 3, 0.1))  # fmt: skip
    run = ground.up(nothing, shell("worker", "exec sleep 600"))
    status = run.wait(120)
    assert status["state"] == "failed"
    assert status["first_failure"]["task"] == "chief/0"
    assert "no-such-program: No such file or directory" in status["first_failure"]["words"]
    assert _task(run, "chief/0")["restarts"] == 0


def test_a_task_is_restarted_on_the_same_address(ground: Ground) -> None:
    dies = 'test -e "${run.directory}/died" || { touch "${run.directory}/died"; kill -9 $$; }; '
    listen = f"exec {ground.python} -c '{LISTEN}' 600"
    worker = shell("worker", dies + listen, ready=ReadinessCheck("tcp"),
                   restart=RestartPolicy("on-failure", 3, 0.1))  # fmt: skip
    reach = _reach(ground, "${jobs.worker.addresses}")
    chief = shell("chief", f"{reach} && echo reached", after={"worker": "ready"})
    run = ground.up(chief, worker)
    status = run.wait(120)
    assert status["state"] == "succeeded", (status["reason"], _lines(run, "worker-0"))
    assert _task(run, "worker/0")["restarts"] == 1
    assert ("task-retried", "worker/0") in _kinds(run)


def test_a_restart_on_request_keeps_the_address_and_all_output(ground: Ground) -> None:
    chief = shell("chief", "echo begun at $TENFOLD_ADDRESS; exec sleep 600")
    run = ground.up(chief)
    wait_for(lambda: len(_lines(run, "chief-0")) == 1, 60)
    asked = ground.tenfold("restart", "chief/0")
    assert asked.returncode == 0, asked.stderr
    wait_for(lambda: len(_lines(run, "chief-0")) == 2, 60)
    first, second = _lines(run, "chief-0")
    assert first == second == f"begun at {_task(run, 'chief/0')['address']}"
    wait_for(lambda: run.status()["state"] == "running", 30)
    run.stop(timeout_s=60)


@pytest.mark.parametrize("way", ["http", "command", "log"])
def test_a_task_starts_after_its_dependency_is_ready(ground: Ground, way: str) -> None:
    served = (
        "sleep 0.5; touch ${run.directory}/ready; echo 'now ready: yes';"
        f"exec {ground.python} -m http.server $${{TENFOLD_ADDRESS##*:}}"
    )
    target = {"http": "/", "command": "test -e ${run.directory}/ready", "log": "ready: y.s"}
    ready = ReadinessCheck(way, target[way])  # type: ignore[arg-type]
    web = shell("web", served, ready=ready, service=True)
    run = ground.up(shell("chief", "exit 0", after={"web": "ready"}), web)
    status = run.wait(120)
    assert status["state"] == "succeeded", status["reason"]
    began, used = _task(run, "web/0")["started"], _task(run, "web/0")["ready"]
    assert _task(run, "chief/0")["started"] >= used > began + 0.4


def test_logs_are_followed_to_the_last_line(ground: Ground) -> None:
    run = ground.up(shell("chief", "for i in $(seq 20); do echo line $i; sleep 0.1; done"))
    followed = ground.tenfold("logs", "-f", "--no-log-prefix", timeout_s=120)
    assert followed.stdout.splitlines() == [f"line {n}" for n in range(1, 21)]
    assert run.wait(60)["state"] == "succeeded"


def test_down_is_gentle_first(ground: Ground) -> None:
    gentle = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    stubborn = "trap '' TERM; setsid sleep 600 & echo up; while :; do sleep 0.1; done"
    run = ground.up(shell("chief", gentle), shell("worker", stubborn), stop_grace_s=1.0)
    for label in ("chief-0", "worker-0"):
        wait_for(lambda label=label: _lines(run, label) == ["up"], 60)  # type: ignore[misc]
    down = ground.tenfold("down")
    assert down.returncode == 0, down.stderr
    status = run.wait(60)
    assert status["state"] == "stopped"
    assert [line for line in _lines(run, "chief-0") if line != "Terminated"] == ["up", "bye"]
    assert _task(run, "worker/0")["signal"] == "SIGKILL"
    wait_for(lambda: ground.left(run) == [], 20)
    assert "is not running" in ground.tenfold("down").stderr


def test_two_clusters_side_by_side(ground: Ground) -> None:
    reach = _reach(ground, "${jobs.ps.addresses}")

    def begin() -> Run:
        chief = shell("chief", f"{reach} && sleep 1", after={"ps": "ready"})
        return ground.up(chief, _listener(ground, "ps", ready=ReadinessCheck("tcp"), service=True))

    one, other = begin(), begin()
    for run in (one, other):
        status = run.wait(120)
        assert status["state"] == "succeeded", (status["reason"], _lines(run, "chief-0"))
    assert one.directory.path != other.directory.path


HOSTILE = (
    "$HOME `id` $(id) ${NAME}",
    "quote ' and \" and \\",
    "two\nlines",
    " %n #x: {a: [b]} ",
    "ä€😀",
)


def test_hostile_characters_arrive_as_they_are(ground: Ground, tmp_path: Path) -> None:
    ground.home = tmp_path / "a 'home' with $HOME, %j and ünïcode"
    ground.home.mkdir()
    ground.runs = ground.runs / 'runs: of $USER\'s "own" %x'
    env = {f"HOSTILE_{n}": text.replace("${", "$${") for n, text in enumerate(HOSTILE)}
    code = (
        "import json, os, sys; print(json.dumps([sys.argv[1:], "
        "[os.environ[f'HOSTILE_{n}'] for n in range(5)], os.getcwd()]))"
    )
    words = (ground.python, "-c", code, *(text.replace("${", "$${") for text in HOSTILE))
    chief = Task(job="chief", index=0, command=words, env=env, workdir=str(ground.home))
    run = ground.up(chief)
    status = run.wait(120)
    assert status["state"] == "succeeded", (status["reason"], _lines(run, "chief-0"))
    said, seen, where = json.loads(_lines(run, "chief-0")[0])
    assert said == list(HOSTILE)
    assert seen == list(HOSTILE)
    assert Path(where).name in (ground.home.name, "workspace")


def test_another_command_finds_the_cluster_again(ground: Ground) -> None:
    """`up -d` ends; what comes after it reads the run directory, and asks the supervisor."""
    chief = shell("chief", "echo up; exec sleep 600")
    plan = ground.plan(chief)
    code = (
        "import json, sys; from tenfold.bringup.api import up;"
        "from tenfold.planning.plan import Plan;"
        "run = up(Plan.from_json(json.loads(sys.argv[1])), runs=sys.argv[2]);"
        "run.wait(120, for_state=('running',)); print(run.directory.path)"
    )
    argv = [sys.executable, "-c", code, json.dumps(plan.to_json()), str(ground.runs)]
    begun = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False, cwd=ROOT)
    assert begun.returncode == 0, begun.stderr
    shown = json.loads(ground.tenfold("ps", "--json").stdout)
    assert shown["directory"] == begun.stdout.strip()
    assert shown["cell"] == ground.name
    assert (shown["state"], shown["tasks"][0]["state"]) == ("running", "running")
    assert ground.tenfold("logs", "--no-log-prefix").stdout == "up\n"
    events = [json.loads(line) for line in ground.tenfold("events", "--json").stdout.splitlines()]
    assert [e["kind"] for e in events if e["task"] == "chief/0"] == ["task-started", "task-ready"]
    down = ground.tenfold("down")
    assert down.returncode == 0, down.stderr
    assert json.loads(ground.tenfold("ps", "--json").stdout)["state"] == "stopped"


def test_after_a_killed_supervisor_down_leaves_nothing(ground: Ground) -> None:
    run = ground.up(shell("chief", "echo up; exec sleep 600"))
    wait_for(lambda: _lines(run, "chief-0") == ["up"], 60)
    os.kill(_supervisor(run), signal.SIGKILL)
    wait_for(lambda: not run.directory.alive() or bool(run.status()["state"] == "failed"), 60)
    down = ground.tenfold("down")
    assert down.returncode == 0, down.stderr
    wait_for(lambda: ground.left(run) == [], 20)
    assert run.status()["state"] == "failed"


def _supervisor(run: Run) -> int:
    """The supervisor's pid, as this process sees it: Slurm's nodes may number pids themselves."""
    wanted = f"tenfold.supervise\0{'--batch' + chr(0) if run.directory.elsewhere.exists() else ''}"
    wanted += str(run.directory.path)
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and wanted in (entry / "cmdline").read_text(errors="replace"):
                return int(entry.name)
    raise AssertionError("no supervisor")


def test_secrets_arrive_and_are_written_nowhere(ground: Ground) -> None:
    secret = "canary-" + os.urandom(8).hex()
    chief = shell("chief", 'test "$HUB_TOKEN" = "$(cat ${run.directory}/known)" && echo same',
                  env={"HUB_TOKEN": secret}, secrets=("HUB_TOKEN",))  # fmt: skip
    web = shell("web", "while ! test -e ${run.directory}/known; do sleep 0.1; done")
    plan = replace(ground.plan(replace(chief, after={"web": "succeeded"}), web),
                   masked=frozenset({secret}))  # fmt: skip
    if traits(ground.name).renders:
        assert secrets_of(plan) == {"HUB_TOKEN": secret}
    run = ground.begin(plan)
    for path in run.directory.path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
    (run.directory.path / "known").write_text(secret)
    status = run.wait(120)
    assert _lines(run, "chief-0") == ["same"], status["reason"]


def test_a_published_port_is_reached_from_this_machine(ground: Ground) -> None:
    if not ground.pages:
        pytest.skip("this cell publishes nothing")
    served = f"exec {ground.python} -m http.server --bind $TENFOLD_BIND $TENFOLD_PORT_HTTP"
    web = shell("web", served, ports={"http": None}, publish=("http",),
                ready=ReadinessCheck("tcp", port="http"))  # fmt: skip
    run = ground.up(web, success=("web",))
    run.wait(120, for_state=("running",))
    with urllib.request.urlopen(_task(run, "web/0")["url"], timeout=10) as page:
        assert b"Directory listing" in page.read()
    run.stop(timeout_s=60)


def test_a_command_beside_a_task(ground: Ground) -> None:
    chief = shell("chief", "cd /; echo up; exec sleep 600", env={"COLOUR": "blue"})
    run = ground.up(chief)
    wait_for(lambda: _lines(run, "chief-0") == ["up"], 60)
    wait_for(lambda: run.status()["state"] == "running", 30)
    beside = ground.tenfold(
        "exec", "chief/0", "--", "sh", "-c", "echo $TENFOLD_TASK $COLOUR; exit 5"
    )
    assert beside.stdout.split() == ["chief/0", "blue"], beside.stderr
    assert beside.returncode == 5
    run.stop(timeout_s=60)


STUCK = """
import threading, tenfold
tenfold.progress(1, 10)
print("up", flush=True)
def hold():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
hold()
"""


def _is_stuck(tasks: list[dict[str, Any]]) -> None:
    """Assert what is told of chief/0 and worker/0, wherever they are."""
    chief, worker = tasks
    told = next((process for process in chief["processes"] if process["stacks"]), None)
    assert told is not None, chief
    assert told["source"] == "faulthandler"
    assert [frame["function"] for frame in told["stacks"][0]["frames"]] == ["hold", "<module>"]
    assert worker["processes"][0]["trouble"] == "is not a Python program", worker


def test_stacks_of_a_hung_task_are_shown(ground: Ground) -> None:
    if ground.name == "own":
        pytest.skip("this cell's tasks are processes of this machine, as local's are")
    stuck = Task(job="chief", index=0, command=(ground.python, "-c", STUCK), workdir="/tmp")
    run = ground.up(stuck, shell("worker", "echo up; exec sleep 600"), hang=HangPolicy(2.0))
    for label in ("chief-0", "worker-0"):
        wait_for(lambda label=label: _lines(run, label) == ["up"], 60)  # type: ignore[misc]
    wait_for(lambda: run.status()["state"] == "running", 30)
    said = ground.tenfold("stacks", "--json")
    assert said.returncode == 0, said.stderr
    _is_stuck(json.loads(said.stdout)["tasks"])
    wait_for(lambda: run.status()["hang"], 60)
    hang = run.status()["hang"]
    assert hang["words"].startswith("no progress for ")
    report = read_json(Path(hang["report"]).with_name("report.json")) or {}
    _is_stuck(report["tasks"])
    run.stop(timeout_s=60)


BAR = """
import sys, time
for n in range(61):
    text = f"train: {n}%|#  | {n}/100 [00:01<00:02, 20.00it/s, loss={100 - n}]"
    sys.stderr.write("\\r" + text)
    sys.stderr.flush()
    time.sleep(0.05)
time.sleep(600)
"""
"""A script that knows nothing of tenfold, and stands at 60 of 100."""


def test_a_bar_is_seen_before_its_newline_and_is_progress(ground: Ground) -> None:
    task = Task(job="chief", index=0, command=(ground.python, "-c", BAR), workdir="/tmp")
    run = ground.up(task, hang=HangPolicy(2.0))
    live, reader = LiveReader(run.directory), LogReader(run.directory.task("chief-0"), "stderr")
    newest = "train: 60%|#  | 60/100 [00:01<00:02, 20.00it/s, loss=40]"
    seen: list[str] = []

    def is_there() -> bool:
        seen.extend(line.text for line in reader.read())
        return reader.open_rows() == [newest]

    wait_for(is_there, 60)
    assert seen == []
    wait_for(lambda: (said := live.read().tasks[0].progress) and said.done == 60, 30)
    said = live.read().tasks[0].progress
    assert said is not None
    assert (said.total, said.unit, said.rate, said.figures) == (
        100, "it", 20.0, {"loss": 40},
    )  # fmt: skip
    wait_for(lambda: run.status()["hang"], 60)
    assert run.status()["hang"]["words"].startswith("no progress bar has moved, and there was no")
    run.stop(kill=True, timeout_s=60)
    assert _lines(run, "chief-0") == [newest]


def test_a_flood_of_output_is_kept_whole(ground: Ground) -> None:
    run = ground.up(shell("chief", "seq 200000; printf end"))
    assert run.wait(120)["state"] == "succeeded"
    text = run.directory.task("chief-0").log("stdout").read_text()
    assert text == "".join(f"{n}\n" for n in range(1, 200_001)) + "end"


def test_every_cell_states_where_it_runs() -> None:
    for name in CELLS:
        assert traits(name).where.startswith("on ")


def test_status_states_who_can_reach_the_ports(ground: Ground) -> None:
    run = ground.up(shell("chief", "exec sleep 600"))
    status = run.wait(120, for_state=("running",))
    assert status["protection"]
    assert status["protection_words"]
    assert time.time() - float((read_json(run.directory.status) or {})["updated"]) < 60
    run.stop(timeout_s=60)
