"""What a run gets on machines that refuse one thing after the other, and what is said of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run
from tenfold.cells.local.protection import require_protection
from tenfold.errors import UnavailableError
from tenfold.launch import binds, isolation
from tenfold.planning.plan import ReadinessCheck, Task
from tenfold.run.rundir import every
from tests.conftest import wait_for
from tests.plans import plan_of, shell

from .strangers import listening, needs_root, second_machine
from .test_reach import EVERYWHERE

pytestmark = pytest.mark.skipif(
    isolation.find("auto").level == "none", reason="this machine refuses everything already"
)

LISTENS: dict[str, object] = {"run": [sys.executable, "-c", EVERYWHERE], "ready": "tcp"}
SLEEPS: dict[str, object] = {"run": ["/bin/sleep", "600"]}


def tenfold(refused: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What `tenfold` says on a machine that refuses these system calls; see refusing.py."""
    program = str(Path(__file__).with_name("refusing.py"))
    inner = [sys.executable, "-m", "tenfold", *words]
    return subprocess.run(
        [sys.executable, program, refused, "--", *inner],
        cwd=cwd,
        env=os.environ | {"TENFOLD_RUNS": str(cwd / "runs")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def doctor(refused: str, place: Path) -> str:
    """The state and message of what doctor finds of the local cell on such a machine."""
    ask = "from tenfold.cells.local.doctor import local; f = local(); print(f.state, f.message)"
    program = str(Path(__file__).with_name("refusing.py"))
    command = [sys.executable, program, refused, "--", sys.executable, "-c", ask]
    return subprocess.run(
        command, cwd=place, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@contextmanager
def running(
    refused: str, place: Path, jobs: Mapping[str, object], **more: object
) -> Iterator[tuple[Run, dict[str, Any]]]:
    """A cluster of these jobs, up on a machine that refuses these system calls."""
    (place / "tenfold.yaml").write_text(json.dumps({"cluster": "c", "jobs": jobs} | more))
    done = tenfold(refused, "up", "-d", cwd=place)
    assert done.returncode == 0, done.stderr
    run = Run(next(iter(every(place / "runs"))))
    try:
        yield run, run.wait(20, for_state=("running",))
    finally:
        run.stop(kill=True, timeout_s=60)


@needs_root
def test_without_namespaces_a_seccomp_filter_redirects_binds_to_loopback(
    runs: Path, tmp_path: Path
) -> None:
    if refusal := binds.refusal():
        pytest.skip(refusal)
    jobs = {"ps": LISTENS, "forked": {**LISTENS, "preload": "wave"}}
    with running("unshare", tmp_path, jobs) as (run, status):
        assert status["protection"] == "loopback"
        for words in ("no namespace: unshare: Operation not permitted", "by a seccomp filter"):
            assert words in status["protection_words"]
        wait_for(lambda: len(listening(run.directory.path)) == 18, 20)
        with second_machine() as reached_from_there:
            ports = {port for _, port in listening(run.directory.path)}
            assert reached_from_there(ports) == set()
    assert "redirected to 127.0.0.1 by" in doctor("unshare", tmp_path)
    assert runs == tmp_path / "runs"


def test_a_listening_cluster_without_isolation_does_not_start(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "tenfold.yaml").write_text(
        json.dumps({"cluster": "c", "jobs": {"ps": LISTENS, "chief": SLEEPS}})
    )
    done = tenfold("unshare,seccomp", "up", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    said = " ".join(done.stderr.split())
    assert "everyone who can reach this machine could reach ps/0 " in said
    for why in ("no namespace: unshare", "no seccomp: syscall"):
        assert why in said
    assert "expose: true" in said
    assert not list(every(runs)), "there is no run of it"


@pytest.mark.parametrize("more", [{"expose": True}, {}])
def test_an_exposed_or_silent_cluster_starts_without_isolation(
    runs: Path, tmp_path: Path, more: dict[str, object]
) -> None:
    jobs: dict[str, object] = {"ps": LISTENS if more else SLEEPS}
    with running("unshare,seccomp", tmp_path, jobs, **more) as (_, status):
        assert status["protection"] == "none"
        assert "everyone who can reach this machine can reach" in status["protection_words"]
    assert runs == tmp_path / "runs"


def test_a_task_for_the_machines_network_is_not_turned(runs: Path, tmp_path: Path) -> None:
    jobs: dict[str, object] = {"outside": {**LISTENS, "network": "host"}}
    if binds.refusal():
        pytest.skip(binds.refusal() or "")
    with running("unshare", tmp_path, jobs) as (run, status):
        assert "outside is on the network of the machine" in status["protection_words"]
        wait_for(lambda: len(listening(run.directory.path)) == 9, 20)
        pid = status["tasks"][0]["pid"]
        assert "0 127.0.0.1" not in Path(f"/proc/{pid}/net/tcp").read_text()
    assert runs == tmp_path / "runs"


EXEC = "import socket; s = socket.socket(); s.bind(('', 0)); print('bound', s.getsockname()[0])"


def test_a_command_beside_a_task_is_covered_too(runs: Path, tmp_path: Path) -> None:
    refused = "unshare"
    with running(refused, tmp_path, {"ps": SLEEPS}) as (_, status):
        assert status["protection"] == "loopback"
        done = tenfold(refused, "exec", "ps/0", "--", sys.executable, "-c", EXEC, cwd=tmp_path)
        assert done.stdout == "bound 127.0.0.1\n", done.stderr
    assert runs == tmp_path / "runs"


def test_doctor_warns_if_no_isolation_is_available(tmp_path: Path) -> None:
    said = doctor("unshare,seccomp", tmp_path)
    assert said.startswith("warning everyone who can reach this machine can reach")
    assert "`up` refuses to start tasks that listen" in said


def test_requiring_unavailable_loopback_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(binds, "refusal", lambda: "no")
    found = isolation.find("loopback")
    assert found.refused == (("seccomp", "no"),)
    with pytest.raises(UnavailableError, match="no seccomp: no"):
        require_protection(plan_of(shell("chief", "true")), "loopback", found)


@pytest.mark.parametrize(
    ("framework", "task", "listens"),
    [
        ("none", shell("chief", "true"), False),
        ("none", shell("chief", "true", ready=ReadinessCheck("log", "up")), False),
        ("none", shell("chief", "true", ready=ReadinessCheck("tcp")), True),
        ("none", shell("chief", "true", ready=ReadinessCheck("http", "/")), True),
        ("none", shell("chief", "true", ports={"api": None}), True),
        ("none", shell("chief", "true", ports={"api": None}, network="host"), False),
        ("none", shell("jupyter", "true", ports={"http": None}), False),
        ("torch", shell("worker", "true"), True),
    ],
)
def test_tasks_that_listen_are_refused_without_isolation(
    framework: str, task: Task, listens: bool
) -> None:
    plan = plan_of(task, framework=framework)
    nothing = isolation.Isolation("none", (("namespace", "no"),))
    if listens:
        with pytest.raises(UnavailableError, match=f"could reach {task.name} "):
            require_protection(plan, "auto", nothing)
    else:
        require_protection(plan, "auto", nothing)
    require_protection(replace(plan, expose=True), "auto", nothing)
    require_protection(plan, "none", nothing)
    require_protection(plan, "auto", isolation.Isolation("seccomp"))
