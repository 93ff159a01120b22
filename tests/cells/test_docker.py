"""What only Docker does: images, containers that others touch, its network, a rendered file.

For real, in the engine that tests/engines provides; a daemon that is restarted is one of the
test's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, planned
from tenfold.cells.docker import engine
from tenfold.cells.docker.client import DockerClient
from tenfold.cells.docker.doctor import compose
from tenfold.cells.docker.project import project_of
from tenfold.cells.rendering import File, RenderLocations
from tenfold.planning.plan import Plan, ReadinessCheck, RestartPolicy
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory, every
from tests.cells.grounds import ROOT, Docker
from tests.conftest import wait_for
from tests.engines.daemons import Daemon, answers, new_directory
from tests.engines.docker import DockerEngine, docker, version
from tests.plans import shell

pytestmark = pytest.mark.timeout(200, func_only=True)  # the first test makes images

JOBS = ("chief", "worker", "once", "web")
SLEEP = "echo up; exec sleep 600"


@pytest.fixture
def ground(light_image: str, runs: Path, tmp_path: Path) -> Iterator[Docker]:
    home = tmp_path / "home"
    home.mkdir()
    made = Docker(light_image, runs, home)
    yield made
    for run in made.started:
        run.stop(kill=True, timeout_s=60)
        wait_for(lambda run=run: not made.left(run), 20)  # type: ignore[misc]


def _task(run: Run, name: str) -> dict[str, Any]:
    return dict(next(task for task in run.status()["tasks"] if task["task"] == name))


def _lines(run: Run, label: str) -> list[str]:
    return last_lines(run.directory.task(label), 50)


def _notes(run: Run) -> str:
    """What people were told while it ran, and what to do."""
    events, _ = read_events(run.directory.events)
    told = [event for event in events if event.kind in ("note", "error")]
    return "\n".join(f"{event.text('message')} {event.text('hint')}" for event in told)


def _container(run: Run, label: str) -> str:
    project = project_of(run.directory)
    return docker(
        *("ps", "-a", "-q", "--filter", f"label={engine.PROJECT}={project}"),
        *("--filter", f"label={engine.SERVICE}={label}"),
    )


def _up(run: Run, *labels: str) -> None:
    for label in labels:
        wait_for(lambda label=label: "up" in _lines(run, label), 60)  # type: ignore[misc]
    run.wait(60, for_state=("running",))


def _python(code: str, *words: str) -> str:
    return f"python -c '{code}' {' '.join(words)}"


ANSWER = (
    "import os, socket\n"
    'made = socket.create_server(("0.0.0.0", 8080))\n'
    'print("up", flush=True)\n'
    "while True:\n"
    '    one, _ = made.accept(); one.sendall(b"it is " + os.environ["TENFOLD_TASK"].encode());'
    " one.close()\n"
)
ASK = (
    "import socket, sys\n"
    "try:\n"
    "    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 3) as one:\n"
    '        print(one.recv(99).decode() or "nothing")\n'
    'except OSError: print("unreached")\n'
)
"""Says what it is told: behind some machines' gateways, every connection is accepted."""


# Images


def test_a_missing_image_is_reported(ground: Docker) -> None:
    ground.image = "127.0.0.1:1/nothing:1"
    run = ground.up(shell("chief", SLEEP))
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "there is no image 127.0.0.1:1/nothing:1 here" in status["reason"]
    assert "cannot be pulled" in status["reason"]
    assert "pulling the image 127.0.0.1:1/nothing:1" in _notes(run)
    assert "`image:`" in _notes(run)
    assert ground.left(run) == []


def test_a_silent_registry_is_not_waited_for_long(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    del docker_engine
    monkeypatch.setattr(engine, "_REGISTRY_S", 0.5)
    notes: list[str] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/nothing:1"
        with pytest.raises(engine.EngineError, match="does not respond within") as caught:
            asyncio.run(engine.have_image(image, lambda words, hint: notes.append(words)))
    assert "`build:`" in str(caught.value.hint)
    assert f"pulling the image {image}" in notes[0]


def test_an_image_without_tenfold_is_reported(ground: Docker, base_image: str) -> None:
    ground.image = base_image
    run = ground.up(shell("chief", SLEEP), shell("worker", SLEEP))
    status = run.wait(60)
    assert status["state"] == "failed"
    assert f"the image {base_image} does not contain tenfold" in status["first_failure"]["words"]
    assert ground.left(run) == []


def _file(ground: Docker, dockerfile: str) -> Path:
    """A cluster file whose image is built of a directory beside it."""
    there = ground.home / "image"
    there.mkdir()
    (there / "Dockerfile").write_text(dockerfile)
    (there / "brought").write_text("brought along\n")
    file = ground.home / "tenfold.yaml"
    file.write_text(
        "cluster: test-build\nimage: tenfold-test:built\nbuild: {context: image}\n"
        "jobs: {chief: {run: cat /brought}}\n"
    )
    return file


def test_a_failed_build_shows_its_last_output(ground: Docker) -> None:
    made = f"FROM {ground.image}\nRUN echo no such luck >&2 && exit 3\n"
    done = ground.tenfold("up", "--on", "docker", str(_file(ground, made)), timeout_s=120)
    assert done.returncode == 1, done.stderr
    (run,) = every(ground.runs)
    assert "the image tenfold-test:built could not be built: " in done.stderr
    assert "returned a non-zero code: 3" in done.stderr, done.stderr
    log = run.path / "cell" / "build.log"
    assert str(log) in _notes(Run(run))
    assert "no such luck" in log.read_text()
    assert "no such luck" not in docker("ps", "-a", "--no-trunc", "--format", "{{.Command}}")
    assert ground.left(Run(run)) == []


def test_an_image_is_built_from_the_directory_of_the_file(ground: Docker) -> None:
    labels = "".join(f"LABEL l{n}={'x' * 40_000}\n" for n in range(2))  # come with every event
    file = _file(ground, f"FROM {ground.image}\n{labels}COPY brought /brought\n")
    run = ground.begin(planned(file, cell="docker"))
    try:
        status = run.wait(120)
        assert status["state"] == "succeeded", (status["reason"], _lines(run, "chief-0"))
        assert _lines(run, "chief-0") == ["brought along"]
        assert "building the image tenfold-test:built" in _notes(run)
    finally:
        docker("image", "rm", "--force", "tenfold-test:built")


# The engine


def _up_as(prefix: tuple[str, ...], ground: Docker, **env: str) -> str:
    """What `tenfold up` of a small file says where it cannot run."""
    there = new_directory("anybody")
    there.chmod(0o755)
    text = f"cluster: c\nimage: {ground.image}\njobs: {{chief: {{run: 'true'}}}}\n"
    (there / "tenfold.yaml").write_text(text)
    argv = (sys.executable, "-m", "tenfold", "up", "--on", "docker", "--runs", str(ground.runs))
    done = subprocess.run([*prefix, *argv], capture_output=True, text=True, timeout=60,
                          env=os.environ | env, cwd=there, check=False)  # fmt: skip
    shutil.rmtree(there)
    assert done.returncode == 3, done.stderr
    assert list(every(ground.runs)) == []
    return done.stderr


def test_without_an_engine_nothing_begins(ground: Docker) -> None:
    said = _up_as((), ground, DOCKER_HOST="unix:///nonexistent")
    assert "no engine responds at DOCKER_HOST=unix:///nonexistent" in said
    assert "start it there" in said


def test_without_permission_nothing_begins(ground: Docker) -> None:
    if os.geteuid() != 0 or "DOCKER_HOST" in os.environ:
        pytest.skip("needs root, to be somebody else")
    reads = "+dac_read_search"  # this tree may be closed to others; the socket stays so
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps", reads,
              "--ambient-caps", reads)  # fmt: skip
    said = _up_as(nobody, ground, HOME="/nonexistent")
    assert "you have no access to it" in said
    assert "usermod -aG" in said


class OwnDaemon:
    """A dockerd that the test may stop, beside the one of all tests: on a network of its own, since
    two of them take each other's bridges."""

    def __init__(self) -> None:
        self.place = new_directory("owndockerd")
        self.host = f"unix://{self.place}/socket"
        self.daemon: Daemon | None = None

    def start(self) -> None:
        """Start it, anew or for the first time, and wait until it answers."""
        paths = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        options = [f"--{name}={self.place / path}" for name, path in paths.items()]
        argv = ["unshare", "--net", "dockerd", "--host", self.host, *options]
        self.daemon = Daemon(argv, self.place / "log", orphaned=signal.SIGTERM)
        assert answers(version, 60, [self.daemon]), self.daemon.said()

    def stop(self) -> None:
        """End it, and every container of it."""
        if self.daemon is not None:
            self.daemon.stop(30.0)


@pytest.fixture
def own_daemon(light_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnDaemon]:
    """Where the environment points meanwhile; it has the light image."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker engine")
    saving = subprocess.Popen(["docker", "save", light_image], stdout=subprocess.PIPE)
    made = OwnDaemon()
    try:
        monkeypatch.setenv("DOCKER_HOST", made.host)
        made.start()
        subprocess.run(["docker", "load", "-q"], stdin=saving.stdout, check=True, timeout=100)
        assert saving.wait(60) == 0
        yield made
    finally:
        saving.kill()
        saving.communicate()
        made.stop()
        shutil.rmtree(made.place, ignore_errors=True)


def test_an_engine_that_restarts_is_waited_for(own_daemon: OwnDaemon, ground: Docker) -> None:
    once = RestartPolicy("on-failure", 1, 0.1)
    run = ground.up(shell("chief", SLEEP, restart=once), shell("worker", SLEEP, restart=once))
    _up(run, "chief-0", "worker-0")
    own_daemon.stop()
    wait_for(lambda: "the Docker engine has stopped" in _notes(run), 30)
    own_daemon.start()
    wait_for(lambda: "the Docker engine is back" in _notes(run), 30)
    wait_for(lambda: _lines(run, "worker-0").count("up") == 2, 60)
    wait_for(lambda: [task["restarts"] for task in run.status()["tasks"]] == [1, 1], 60)
    assert run.status()["state"] == "running"
    own_daemon.stop()
    own_daemon.start()
    status = run.wait(90)
    assert status["state"] == "failed"
    assert "was killed by SIGTERM" in status["reason"]
    assert "are left" not in _notes(run)
    assert ground.left(run) == []


# Containers that others touch


def test_docker_restart_of_a_task_is_one_restart_of_it(ground: Docker) -> None:
    again = RestartPolicy("on-failure", 3, 0.1)
    run = ground.up(shell("chief", SLEEP), shell("worker", SLEEP, restart=again))
    _up(run, "chief-0", "worker-0")
    docker("restart", "-t", "3", _container(run, "worker-0"))
    wait_for(lambda: _lines(run, "worker-0").count("up") == 2, 60)
    wait_for(lambda: _task(run, "worker/0")["state"] == "running", 60)
    assert _task(run, "worker/0")["restarts"] == 1
    wait_for(lambda: "the container of worker/0 was restarted" in _notes(run), 10)
    run.stop(timeout_s=60)
    assert _lines(run, "worker-0").count("up") == 2


def test_a_killed_worker_restarts_with_the_same_name(ground: Docker) -> None:
    worker = shell("worker", f"exec {_python(ANSWER)}", ready=ReadinessCheck("tcp"),
                   restart=RestartPolicy("on-failure", 3, 0.1))  # fmt: skip
    ask = _python(ASK, "worker-0", "8080")
    asks = f"{ask}; while ! test -e ${{run.directory}}/again; do sleep 0.1; done; {ask}"
    run = ground.up(shell("chief", asks, after={"worker": "ready"}), worker)
    wait_for(lambda: _lines(run, "chief-0") == ["it is worker/0"], 60)
    docker("kill", _container(run, "worker-0"))
    wait_for(lambda: _task(run, "worker/0")["restarts"] == 1, 60)
    wait_for(lambda: _task(run, "worker/0")["state"] == "running", 60)
    (run.directory.path / "again").touch()
    status = run.wait(60)
    assert status["state"] == "succeeded", (status["reason"], _notes(run))
    assert _lines(run, "chief-0") == ["it is worker/0"] * 2
    assert _task(run, "worker/0")["address"] == "worker-0:8080"


@pytest.mark.parametrize(("how", "number"), [("kill", "SIGKILL"), ("restart", "SIGTERM")])
def test_a_chief_that_others_end_ends_the_run(ground: Docker, how: str, number: str) -> None:
    run = ground.up(shell("chief", SLEEP), shell("worker", SLEEP))
    _up(run, "chief-0", "worker-0")
    with suppress(subprocess.CalledProcessError):  # nothing may be left to start again
        docker(how, _container(run, "chief-0"))
    status = run.wait(60)
    assert (status["state"], status["reason"]) == ("failed", f"chief/0 was killed by {number}")
    assert _task(run, "worker/0")["state"] == "stopped"
    assert ground.left(run) == []


def test_a_removed_container_is_reported(ground: Docker) -> None:
    again = RestartPolicy("on-failure", 3, 0.1)
    run = ground.up(shell("chief", SLEEP), shell("worker", SLEEP, restart=again))
    _up(run, "chief-0", "worker-0")
    docker("rm", "-f", _container(run, "worker-0"))
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "the container of worker/0 was removed" in _notes(run)
    assert status["reason"].startswith("worker/0")
    first = status["first_failure"]
    assert (first["task"], first["cause"]) == ("worker/0", "removed")
    assert first["words"] == "ended: its container was removed from outside"
    why = ground.tenfold("why").stdout
    assert why.startswith("c failed: worker/0 ended: its container was removed from outside; find")
    assert ground.left(run) == []


@pytest.mark.alone
def test_a_task_killed_at_its_memory_limit_reports_memory_as_the_cause(ground: Docker) -> None:
    eat = _python("x = [bytearray(1 << 20) for _ in range(4000)]")
    run = ground.up(replace(shell("chief", f"exec {eat}"), memory=64 << 20))
    status = run.wait(60)
    first = status["first_failure"]
    assert (status["state"], first["signal"]) == ("failed", "SIGKILL")
    assert first["words"] == "was killed (out of memory at its limit of 64MiB)"
    assert first["cause"] == "oom"
    assert "has reached its memory limit, 64MiB" in _notes(run)
    assert "raise jobs.chief.resources.memory" in _notes(run)
    why = ground.tenfold("why").stdout.splitlines()
    assert "chief/0 was killed (out of memory at its limit of 64MiB)" in why[0]
    assert "raise jobs.chief.resources.memory" in why[0]


def test_a_run_directory_that_the_engine_cannot_see_is_reported(
    ground: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: Callable[..., list[File]] = DockerClient.render

    def elsewhere(self: DockerClient, plan: Plan, places: RenderLocations) -> list[File]:
        (file,) = rendered(self, plan, places)
        return [File(file.path, file.text.replace(f"{places.run}:", f"{tmp_path}/empty:"))]

    monkeypatch.setattr(DockerClient, "render", elsewhere)
    run = ground.up(shell("chief", SLEEP))
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "the run directory is not shared" in status["first_failure"]["words"]
    assert ground.left(run) == []


# The network, and who a task is there


def _ask(address: str, port: int) -> str:
    """What is said at an address, as this machine sees it."""
    done = subprocess.run([sys.executable, "-c", ASK, address, str(port)], capture_output=True,
                          text=True, timeout=30, check=True)  # fmt: skip
    return done.stdout.strip()


def test_tasks_have_no_rights_and_no_way_out(ground: Docker) -> None:
    who = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status"
    outside = _own_address()
    with closing(socket.create_server(("0.0.0.0", 0))) as here:
        here.settimeout(60)
        answering = threading.Thread(target=_answer, args=(here,), daemon=True)
        answering.start()
        ask = _python(ASK, outside, str(here.getsockname()[1]))
        worker = shell("worker", f"{ask}; echo up; exec sleep 600", network="host")
        run = ground.up(shell("chief", f"{who}; {ask}; exec {_python(ANSWER)}"), worker)
        _up(run, "chief-0", "worker-0")
    assert _lines(run, "worker-0")[0] == "it is this machine", _lines(run, "worker-0")
    uid, caps, privileges, reached = _lines(run, "chief-0")[:4]
    assert uid == str(os.getuid())
    assert int(caps.split()[1], 16) == 0
    assert privileges.split()[1] == "1"
    assert reached in ("unreached", "nothing")
    seen = json.loads(docker("inspect", _container(run, "chief-0")))[0]
    (network,) = seen["NetworkSettings"]["Networks"].values()
    assert "it is chief/0" not in _ask(network["IPAddress"], 8080)
    assert "every user of this machine can reach worker/0" in run.status()["protection_words"]
    networks = json.loads(docker("inspect", _container(run, "worker-0")))[0]["NetworkSettings"]
    assert {name.rpartition("_")[2] for name in networks["Networks"]} == {"cluster", "outside"}
    run.stop(timeout_s=60)


def _own_address() -> str:
    """An address of this machine that is on none of the engine's networks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("192.0.2.9", 9))  # nothing is sent
        return str(made.getsockname()[0])


def _answer(listening: socket.socket) -> None:
    with suppress(OSError):
        while True:
            one, _ = listening.accept()
            one.sendall(b"it is this machine")
            one.close()


# A rendered file


RENDERED = """
cluster: rendered
image: IMAGE
jobs:
  chief: {run: sh chief.sh, after: {worker: ready, once: succeeded}}
  worker: {run: sh worker.sh, ready: tcp, restart: on-failure}
  once: {run: "true", restart: never}
  web: {run: sleep 600, ports: {http: 8099}, publish: [http]}
"""
BESIDE = {
    "answer.py": ANSWER,
    "ask.py": ASK,
    "chief.sh": "cd $TENFOLD_RUN_DIRECTORY; ask='python /workspace/ask.py worker-0 8080'; $ask\n"
    "touch die; while test -e die; do sleep 0.1; done\n"
    "until $ask | grep 'it is'; do sleep 0.1; done; echo kept > results/r; exit 7",
    "worker.sh": "python answer.py & die=$TENFOLD_RUN_DIRECTORY/die\n"
    "while ! test -e $die; do sleep 0.1; done; rm $die; exit 9",
}


def test_a_rendered_file_works_with_compose_alone(ground: Docker, tmp_path: Path) -> None:
    there, words = tmp_path / "deploy", compose()[0]
    assert words
    for name, text in BESIDE.items():
        (ground.home / name).write_text(text)
    file = ground.home / "tenfold.yaml"
    file.write_text(RENDERED.replace("IMAGE", ground.image))
    argv = [sys.executable, "-m", "tenfold", "render", "--on", "docker", "-o", str(there)]
    subprocess.run([*argv, str(file)], check=True, timeout=60, cwd=ROOT)
    user = {"TENFOLD_UID": str(os.getuid()), "TENFOLD_GID": str(os.getgid())}
    env = os.environ | user | {"COMPOSE_PROJECT_NAME": f"tfrender{os.getpid()}"}

    def call(*more: str, check: str = "\0") -> str:
        done = subprocess.run([*words, *more], cwd=there, env=env, capture_output=True,
                              text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0 or check in done.stderr, done.stderr
        return done.stdout.strip()

    try:
        for _ in range(3):  # Compose 1 may look before the engine has looked, and see "unhealthy"
            call("up", "-d", check="is unhealthy")
            if call("ps", "-q", "chief-0"):
                break
        chief, worker, once, web = (call("ps", "-q", job + "-0") for job in JOBS)
        assert docker("wait", chief, timeout_s=60) == "7"
        run = RunDirectory(there / "run")
        assert last_lines(run.task("chief-0"), 5) == ["it is worker/0"] * 2
        assert (run.path / "results" / "r").read_text() == "kept\n"
        lives = {name: read_json(run.task(f"{name}-0").life) or {} for name in JOBS}
        assert lives["chief"]["started"] > lives["once"]["ended"]
        count = ("inspect", "-f", "{{.RestartCount}}", worker)
        wait_for(lambda: docker(*count) == "1")
        ports = docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", chief, worker, once)
        assert ports.split() == ["{}"] * 3
        assert docker("port", web).startswith("8099/tcp -> 127.0.0.1:")
    finally:
        call("down")
    project = f"label={engine.PROJECT}={env['COMPOSE_PROJECT_NAME']}"
    assert docker("ps", "-aq", "--filter", project) == ""
    assert docker("network", "ls", "-q", "--filter", project) == ""
