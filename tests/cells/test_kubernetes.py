"""The Kubernetes cell under the real supervisor, against an API server of these tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, sweep, up
from tenfold.bringup.running import AlreadyRunningError
from tenfold.cells.kubernetes.client import CLIENT
from tenfold.errors import InputError, TenfoldError, UnavailableError
from tenfold.planning.plan import Plan, ReadinessCheck, RestartPolicy, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import LogReader, last_lines
from tenfold.run.rundir import RunDirectory
from tests.cells.fake_container import Container
from tests.cells.fake_kubernetes import FakeKubernetes
from tests.conftest import wait_for
from tests.plans import plan_of, shell

SLEEP = "echo begun; exec sleep 600"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    """A cluster that KUBECONFIG names, its context in namespace `ml`."""
    made = FakeKubernetes(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig()))
    yield made
    made.close()


def planned(*tasks: Task, **more: Any) -> Plan:
    """A placed plan of these tasks on the Kubernetes cell."""
    return CLIENT.place(plan_of(*tasks, cell="kubernetes", **more))


def job(name: str, script: str, **more: Any) -> Task:
    """A shell task in an image."""
    return shell(name, script, image="example.com/tenfold:1", **more)


def task(run: Run, name: str) -> dict[str, Any]:
    """The task in `ps --json`."""
    return dict(next(t for t in run.status()["tasks"] if t["task"] == name))


def notes(run: Run) -> list[str]:
    """What people were told."""
    events, _ = read_events(run.directory.events)
    return [
        f"{e.text('message')} | {e.text('hint')}" for e in events if e.kind in ("note", "error")
    ]


def noted(run: Run, words: str) -> bool:
    """Whether they were told this."""
    return any(words in note for note in notes(run))


def lines(run: Run, label: str) -> list[str]:
    """What a task wrote."""
    return last_lines(run.directory.task(label), 10_000)


def test_a_cluster_runs_to_its_end_and_leaves_nothing(runs: Path, cluster: FakeKubernetes) -> None:
    ready = "touch $HOME/up; exec sleep 600"
    ps = job(
        "ps", ready, service=True, ready=ReadinessCheck("command", "test -e ${run.directory}/../up")
    )
    chief = job("chief", "echo hello; echo oops >&2; sleep 0.2; printf end", after={"ps": "ready"})
    run = up(planned(chief, ps), runs=runs)
    status = run.wait(60)
    assert status["state"] == "succeeded", status["reason"]
    assert [(t["task"], t["state"]) for t in status["tasks"]] == [
        ("chief/0", "succeeded"),
        ("ps/0", "stopped"),
    ]
    assert task(run, "chief/0")["exit_code"] == 0
    assert task(run, "ps/0")["signal"] == "SIGTERM"
    assert task(run, "chief/0")["host"] == "node-1"
    assert task(run, "chief/0")["address"] == "chief-0.c:8080"
    assert sorted(lines(run, "chief-0")) == ["end", "hello", "oops"]
    events, _ = read_events(run.directory.events)
    order = [(event.kind, event.task) for event in events]
    assert order.index(("task-ready", "ps/0")) < order.index(("task-started", "chief/0"))
    assert cluster.kinds() == []
    assert (run.directory.path / "cell" / "manifests.yaml").exists()


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 7", 7, None), ("kill -9 $$", None, "SIGKILL")]
)
def test_true_exits_and_the_first_failure(
    runs: Path, cluster: FakeKubernetes, script: str, code: int | None, number: str | None
) -> None:
    many = "for i in $(seq 30); do echo line $i; done; "
    run = up(planned(job("chief", many + script), job("worker", SLEEP)), runs=runs)
    status = run.wait(60)
    assert status["state"] == "failed"
    first = status["first_failure"]
    assert (first["task"], first["exit_code"], first["signal"]) == ("chief/0", code, number)
    assert first["lines"] == [f"line {n}" for n in range(11, 31)]
    assert task(run, "worker/0")["state"] == "stopped"
    assert cluster.kinds() == []


def test_a_command_that_is_not_there_is_named(runs: Path, cluster: FakeKubernetes) -> None:
    nothing = Task("chief", 0, ("no-such-program",), workdir="/tmp", image="i")
    status = up(planned(nothing), runs=runs).wait(60)
    assert status["state"] == "failed"
    assert "no-such-program" in str(status["reason"]) + str(notes(Run(_only(runs))))
    assert cluster.kinds() == []


def _only(runs: Path) -> RunDirectory:
    return RunDirectory(next((runs / "c").iterdir()))


def test_a_restarted_task_is_another_job_on_the_same_address(
    runs: Path, cluster: FakeKubernetes
) -> None:
    once = "test -e /tmp/nothing-here; echo life; exit 3"
    worker = job("worker", once, restart=RestartPolicy("on-failure", 1, 0.1), needed=False)
    run = up(planned(job("chief", SLEEP), worker), runs=runs)
    wait_for(lambda: task(run, "worker/0")["state"] == "failed", 60)
    assert task(run, "worker/0")["restarts"] == 1
    assert lines(run, "worker-0") == ["life", "life"]
    assert "POST Job c-worker-0-life-2" in cluster.requests
    run.restart("chief/0")
    wait_for(lambda: lines(run, "chief-0") == ["begun", "begun"], 60)
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert cluster.kinds() == []


def test_stop_gives_grace_and_then_kills(runs: Path, cluster: FakeKubernetes) -> None:
    stubborn = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    run = up(planned(job("chief", stubborn), stop_grace_s=1.0), runs=runs)
    wait_for(lambda: lines(run, "chief-0") == ["up"], 60)
    assert run.stop(timeout_s=40)["state"] == "stopped"
    assert cluster.kinds() == []


def test_an_image_that_cannot_be_pulled_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    def history(container: Container) -> None:
        container.waits("ContainerCreating")
        container.waits("ErrImagePull", "rpc error: example.com/tenfold:1: i/o timeout")
        container.waits("ImagePullBackOff", "Back-off pulling image")

    cluster.histories["chief-0"] = [history]
    run = up(planned(job("chief", "true")), runs=runs)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "image example.com/tenfold:1 cannot be pulled: rpc error" in status["reason"]
    assert noted(run, "check that the name is correct")
    assert cluster.kinds() == []


def test_an_image_without_tenfold_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    def history(container: Container) -> None:
        said = 'exec: "tenfold": executable file not found in $PATH'
        container.ends(128, reason="StartError", message=said)

    cluster.histories["chief-0"] = [history]
    status = up(planned(job("chief", "true")), runs=runs).wait(60)
    assert "does not contain tenfold" in status["reason"]


def test_a_pod_that_fits_no_node_is_reported_and_waited_for(
    runs: Path, cluster: FakeKubernetes
) -> None:
    said = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    free = threading.Event()

    def history(container: Container) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        container.is_("Pending", conditions=[condition | {"message": said}])
        free.wait(60)
        container.really()

    cluster.histories["chief-0"] = [history]
    run = up(planned(job("chief", "echo at last", gpu=8)), runs=runs)
    wait_for(lambda: noted(run, f"chief/0: no node can run it: {said}"), 60)
    assert run.status()["state"] == "starting"
    free.set()
    assert run.wait(60)["state"] == "succeeded"


def test_an_exceeded_quota_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    said = 'pods "c-chief-0-" is forbidden: exceeded quota: team, requested: cpu=64'
    cluster.no_pods["chief-0"] = said
    run = up(planned(job("chief", "true", cpu=64)), runs=runs)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert f"the cluster rejects its pod: {said}" in status["reason"]
    assert [kind for kind in cluster.kinds() if kind != "Event"] == []


def test_a_missing_permission_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    said = 'networkpolicies.networking.k8s.io is forbidden: User "me" cannot create resource'
    cluster.refusals["POST NetworkPolicy"] = (403, said)
    run = up(planned(job("chief", "true")), runs=runs)
    status = run.wait(60)
    assert (status["state"], status["reason"]) == ("failed", said)
    assert noted(run, "ask the administrator of the cluster for this permission")
    assert cluster.kinds() == []  # the Service that was made already is gone


def test_exhausted_memory_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    def history(container: Container) -> None:
        container.runs()
        container.ends(137, reason="OOMKilled")

    cluster.histories["chief-0"] = [history]
    run = up(planned(job("chief", "true")), runs=runs)
    first = run.wait(60)["first_failure"]
    assert (first["signal"], first["cause"]) == ("SIGKILL", "oom")
    assert first["words"] == "was killed (out of memory)"
    assert noted(run, "chief/0 was killed (out of memory) | raise its resources.memory")


def test_a_pod_that_somebody_deleted_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    run = up(planned(job("chief", SLEEP)), runs=runs)
    wait_for(lambda: lines(run, "chief-0") == ["begun"], 60)
    cluster.delete_pod(cluster.container("chief-0").name, 5)
    status = run.wait(60)
    first = status["first_failure"]
    assert (status["state"], first["signal"], first["cause"]) == ("failed", "SIGTERM", "removed")
    assert "its pod was deleted" in first["words"]
    assert noted(run, "chief/0 was ended from outside")


def test_a_drained_node_is_reported(runs: Path, cluster: FakeKubernetes) -> None:
    def history(container: Container) -> None:
        container.runs()
        condition = {"type": "DisruptionTarget", "status": "True", "message": "node-1 is drained"}
        container.ends(143, conditions=[condition])
        container.is_gone()

    worker = job("worker", SLEEP, restart=RestartPolicy("on-failure", 3, 0.0))
    cluster.histories["worker-0"] = [history, Container.really]
    run = up(planned(job("chief", SLEEP), worker), runs=runs)
    wait_for(lambda: task(run, "worker/0")["restarts"] == 1, 60)
    assert noted(run, "worker/0 was removed from its node: node-1 is drained")
    run.stop(kill=True, timeout_s=60)


def test_a_broken_or_expired_watch_continues(runs: Path, cluster: FakeKubernetes) -> None:
    script = "echo begun; while ! test -e $HOME/go; do sleep 0.05; done; exit 5"
    run = up(planned(job("chief", script)), runs=runs)
    wait_for(lambda: lines(run, "chief-0") == ["begun"], 60)
    cluster.break_off("watch")
    cluster.forget_history()
    cluster.break_off("watch")
    (cluster.container("chief-0").home / "go").touch()
    assert run.wait(60)["first_failure"]["exit_code"] == 5


def test_a_pod_that_disappeared_while_the_watch_was_down_is_reported(
    runs: Path, cluster: FakeKubernetes
) -> None:
    run = up(planned(job("chief", SLEEP)), runs=runs)
    wait_for(lambda: lines(run, "chief-0") == ["begun"], 60)
    cluster.refusals["GET Pod"] = (503, "the server is being moved")
    cluster.break_off("watch")
    container = cluster.container("chief-0")
    container.kill()
    with cluster.change:
        del cluster.objects["Pod", container.name]
        del cluster.containers[container.name]
    cluster.forget_history()
    wait_for(
        lambda: noted(run, "the connection to the cluster is lost: the server is being moved"), 60
    )
    cluster.refusals.clear()
    assert run.wait(60)["first_failure"]["signal"] == "SIGKILL"
    assert noted(run, "the connection to the cluster is restored")


def test_no_line_is_lost_or_repeated_when_logs_are_interrupted(
    runs: Path, cluster: FakeKubernetes
) -> None:
    script = "for i in $(seq 400); do echo line $i; sleep 0.005; done"
    run = up(planned(job("chief", script)), runs=runs)
    for some in (20, 100, 250):
        wait_for(lambda some=some: len(lines(run, "chief-0")) >= some, 60)  # type: ignore[misc]
        cluster.break_off("log")
    assert run.wait(60)["state"] == "succeeded"
    assert lines(run, "chief-0") == [f"line {n}" for n in range(1, 401)]
    read = LogReader(run.directory.task("chief-0"), "stdout").read()
    times = [line.time for line in read]
    assert times == sorted(times)
    assert times[-1] > times[0] + 1


def test_a_killed_supervisor_leaves_what_down_removes(runs: Path, cluster: FakeKubernetes) -> None:
    run = up(planned(job("chief", SLEEP)), runs=runs)
    run.wait(60, for_state=("running",))
    os.kill(int((read_json(run.directory.status) or {})["supervisor_pid"]), signal.SIGKILL)
    wait_for(lambda: not run.directory.alive(), 10)
    run.wait(60)
    assert "Pod" in cluster.kinds()
    words = CLIENT.beside(run.directory, "chief/0", ["id"]) or []
    assert words[:5] == ["kubectl", "--namespace", "ml", "exec", "-i"]
    assert words[5].startswith("c-chief-0-")
    assert "1 Job" in sweep(run.directory)
    assert cluster.kinds() == []
    assert sweep(run.directory) == []


def test_nothing_of_the_users_is_touched(runs: Path, cluster: FakeKubernetes) -> None:
    theirs = {"metadata": {"name": "c", "labels": {"app": "theirs"}}, "kind": "Service"}
    cluster.create("Service", theirs)
    status = up(planned(job("chief", "true")), runs=runs).wait(60)
    assert status["state"] == "failed"
    assert status["reason"] == "namespace ml has a Service c that does not belong to this run"
    assert cluster.kinds() == ["Service"]


def test_a_second_run_of_a_cluster_that_is_up_is_refused(
    runs: Path, cluster: FakeKubernetes
) -> None:
    first = up(planned(job("chief", SLEEP)), runs=runs)
    first.wait(60, for_state=("running",))
    with pytest.raises(AlreadyRunningError, match="a second run needs another namespace"):
        up(planned(job("chief", "true")), runs=runs)
    elsewhere = up(planned(job("chief", "true")), runs=runs / "elsewhere").wait(60)
    assert "a cluster of this name is running in namespace ml" in elsewhere["reason"]
    assert cluster.kinds().count("Job") == 1
    assert first.status()["state"] == "running"
    first.stop(kill=True, timeout_s=60)


def test_two_clusters_side_by_side(runs: Path, cluster: FakeKubernetes) -> None:
    both = [up(planned(job("chief", SLEEP), cluster=name), runs=runs) for name in ("a", "b")]
    for run in both:
        run.wait(60, for_state=("running",))
    assert both[0].stop(timeout_s=60)["state"] == "stopped"
    assert both[1].status()["state"] == "running"
    assert "Pod" in cluster.kinds()
    both[1].stop(timeout_s=60)
    assert cluster.kinds() == []


def test_secrets_and_claims(runs: Path, cluster: FakeKubernetes) -> None:
    env = {"HUB_TOKEN": "s3cret-word", "PLAIN": "here"}
    show = 'test "$${#HUB_TOKEN}" = 11 && echo "$PLAIN"'
    storage = {"storage": {"size": 1 << 30}}
    plan = planned(job("chief", show, env=env, secrets=("HUB_TOKEN",)), settings=storage)
    run = up(plan, runs=runs)
    status = run.wait(60)
    assert status["state"] == "succeeded", status["reason"]
    assert lines(run, "chief-0") == ["here"]
    for path in run.directory.path.rglob("*"):
        assert not path.is_file() or b"s3cret-word" not in path.read_bytes(), path
    assert cluster.kinds() == ["PersistentVolumeClaim"]  # results are on it
    assert up(plan, runs=runs).wait(60)["state"] == "succeeded"


def test_the_supervisor_imports_the_client_without_its_validator(cluster: FakeKubernetes) -> None:
    del cluster
    code = (
        "import sys\n"
        "from tenfold.cells.kubernetes.api import slim_api\n"
        "print(slim_api({}).version(), 'jsonschema' in sys.modules)\n"
        "import kubernetes_validate\n"
        "print('jsonschema' in sys.modules)\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1.33.1", "False", "True"], done.stderr


def test_an_unreachable_cluster_is_reported_before_anything_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = FakeKubernetes(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(gone.kubeconfig()))
    plan = planned(job("chief", "true"))
    CLIENT.require(plan)
    gone.close()
    with pytest.raises(UnavailableError, match="does not respond"):
        CLIENT.require(plan)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="no Kubernetes cluster is known"):
        CLIENT.require(plan)


def test_a_plan_without_an_image_is_refused(cluster: FakeKubernetes) -> None:
    del cluster
    with pytest.raises(InputError, match="no image is set for chief/0"):
        CLIENT.require(planned(shell("chief", "true")))


def test_a_task_without_a_pod_has_nothing_beside_it(runs: Path) -> None:
    with pytest.raises(TenfoldError, match="has no pod"):
        CLIENT.beside(RunDirectory(runs / "c" / "x"), "chief/0", ["id"])


def test_up_prints_how_to_reach_pages(runs: Path, cluster: FakeKubernetes) -> None:
    del cluster
    web = job("web", SLEEP, ports={"http": None}, publish=("http",))
    run = up(planned(web, success=("web",)), runs=runs)
    wait_for(lambda: noted(run, "port-forward pod/c-web-0-x7k2p 8081"), 60)
    run.stop(kill=True, timeout_s=60)


def test_the_commands_read_as_on_any_cell(
    tmp_path: Path, runs: Path, cluster: FakeKubernetes
) -> None:
    file = tmp_path / "tenfold.yaml"
    file.write_text(
        "cluster: demo\nimage: example.com/tenfold:1\n"
        "jobs:\n"
        "  chief: {run: sh -c 'echo begun; exec sleep 600', workdir: /tmp}\n"
    )

    def tenfold(*words: str) -> str:
        argv = [sys.executable, "-m", "tenfold", *words, "--runs", str(runs)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout

    tenfold("up", str(file), "--on", "kubernetes", "--wait")
    (chief,) = json.loads(tenfold("ps", "--json"))["tasks"]
    assert (chief["state"], chief["address"]) == ("running", "chief-0.demo:8080")
    assert (chief["host"], chief["pid"]) == ("node-1", None)
    wait_for(lambda: "begun" in tenfold("logs", "demo"), 30)
    assert '"task-ready"' in tenfold("events", "--json")
    tenfold("down", "demo")
    assert json.loads(tenfold("ps", "demo", "--json"))["state"] == "stopped"
    assert cluster.kinds() == []
