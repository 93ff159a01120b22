"""What only Slurm does: queues, refusals, cancelling from outside, nodes that die. For real."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup import api
from tenfold.bringup.api import Run
from tenfold.cells.export import run_files
from tenfold.cells.rendering import RenderLocations
from tenfold.cells.slurm.commands import JobState, why_told
from tenfold.cells.slurm.sbatch import components, sbatch
from tenfold.errors import TenfoldError
from tenfold.planning.plan import Plan, ReadinessCheck, Task
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tests.cells import grounds
from tests.conftest import wait_for
from tests.engines.slurm import Slurm
from tests.plans import listener, plan_of, shell

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def ground(slurm: Slurm, runs: Path, tmp_path: Path) -> grounds.Slurm:
    del slurm
    return grounds.Slurm(runs, tmp_path)


def _job(run: Run) -> str:
    return str((read_json(run.directory.elsewhere) or {})["job"])


def _with(plan: Plan, **settings: Any) -> Plan:
    return replace(plan, settings=settings)


def test_an_external_scancel_is_detected_and_reported(ground: grounds.Slurm, slurm: Slurm) -> None:
    gentle = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"
    run = ground.up(shell("chief", gentle), shell("worker", "echo up; exec sleep 600"))
    run.wait(60, for_state=("running",))
    slurm.run("scancel", _job(run))
    status = run.wait(60)
    assert (status["state"], status["reason"]) == (
        "stopped",
        f"Slurm job {_job(run)} was cancelled",
    )
    wait_for(lambda: ground.left(run) == [], 30)


def test_a_pending_job_shows_the_reason_and_can_be_cancelled(
    ground: grounds.Slurm, slurm: Slurm
) -> None:
    plan = ground.plan(shell("chief", "exit 0"))
    run = ground.begin(_with(plan, options=["--begin=now+1hour"]))
    wait_for(lambda: "BeginTime" in str(run.status()["reason"]), 60)
    assert run.directory.alive()
    shown = json.loads(ground.tenfold("ps", "--json").stdout)
    assert (shown["state"], shown["tasks"][0]["state"]) == ("starting", "waiting")
    down = ground.tenfold("down")
    assert down.returncode == 0, down.stderr
    assert run.wait(60)["state"] == "stopped"
    assert _job(run) not in slurm.jobs()


def test_a_job_cancelled_in_the_queue_has_ended(ground: grounds.Slurm, slurm: Slurm) -> None:
    plan = ground.plan(shell("chief", "exit 0"))
    run = ground.begin(_with(plan, options=["--begin=now+1hour"]))
    slurm.run("scancel", _job(run))
    status = run.wait(60)
    assert (status["state"], status["tasks"][0]["state"]) == ("stopped", "waiting")
    assert "cancelled" in status["reason"]


@pytest.mark.parametrize(
    ("settings", "task", "words", "hint"),
    [
        ({"partition": "gpus"}, {}, "invalid partition", "sinfo"),
        ({}, {"memory": 1 << 45}, "", "sinfo -N"),
        ({}, {"gpu": 3}, "", "sinfo -N"),
        ({"partition": "debug", "time": "5-0"}, {}, "", None),
    ],
)
def test_impossible_requests_to_slurm_are_refused_at_once(
    ground: grounds.Slurm,
    settings: dict[str, Any],
    task: dict[str, Any],
    words: str,
    hint: str | None,
) -> None:
    chief = replace(shell("chief", "exit 0"), **task)
    plan = _with(ground.plan(chief), **settings)
    if "time" in settings:
        run = ground.begin(plan)  # Slurm takes it, and says in the queue why it waits
        wait_for(lambda: "PartitionTimeLimit" in str(run.status()["reason"]), 60)
        run.stop(timeout_s=60)
        return
    with pytest.raises(TenfoldError, match="Slurm rejects the job") as caught:
        ground.begin(plan)
    assert words in caught.value.message.lower()
    assert str(hint) in str(caught.value.hint)
    assert list(ground.runs.rglob("plan.json")) == []


def test_jobs_that_need_different_nodes_get_components_of_their_own(
    ground: grounds.Slurm,
) -> None:
    reach = (
        f"{sys.executable} -c \"import socket, sys; [socket.create_connection(a.rsplit(':', 1), 5)"
        " for a in sys.argv[1].split(',')]\" ${jobs.ps.addresses} && echo reached"
    )
    ps = [
        listener(f"ps/{n}", ready=ReadinessCheck("tcp"), service=True, memory=300 << 20)
        for n in range(2)
    ]
    chief = shell("chief", f"{reach}; echo $SLURM_JOB_PARTITION", cpu=2.0, after={"ps": "ready"})
    plan = _with(ground.plan(chief, *ps), jobs={"chief": {"partition": "debug"}})
    assert len(components(plan)) == 2
    run = ground.begin(plan)
    status = run.wait(120)
    assert status["state"] == "succeeded", status["reason"]
    assert last_lines(run.directory.task("chief-0"), 5) == ["reached", "debug"]


def test_a_node_that_dies_makes_slurm_start_the_run_again(
    ground: grounds.Slurm, slurm: Slurm
) -> None:
    script = 'test -e "${run.directory}/again" && exit 0; echo first; exec sleep 600'
    chief = shell("chief", script)
    workers = [shell(f"worker/{n}", "exec sleep 600") for n in range(3)]
    plan = _with(ground.plan(chief, *workers), options=["--ntasks-per-node=1"])
    run = ground.begin(plan)
    status = run.wait(120, for_state=("running",))
    hosts = {task["task"]: task["host"] for task in status["tasks"]}
    batch = slurm.run("squeue", "-h", "-o", "%B", "-j", _job(run))
    node = next(host for host in hosts.values() if host != batch)
    try:
        slurm.kill_node(node)
        wait_for(lambda: "requeues" in str(run.status()["reason"]), 90)
        assert run.directory.alive()
        (run.directory.path / "again").touch()
    finally:
        slurm.start_node(node)
    wait_for(lambda: slurm.jobs().get(_job(run)) == "PENDING", 60)
    slurm.run("scontrol", "update", f"JobId={_job(run)}", "StartTime=now")
    status = run.wait(120)
    events, _ = read_events(run.directory.events)
    assert status["state"] == "succeeded", (status["reason"], events)
    assert any("restart 1" in str(event.more.get("message")) for event in events)


def test_a_run_directory_that_nodes_cannot_see_is_reported(ground: grounds.Slurm) -> None:
    plan = ground.plan(shell("chief", "exit 0"))
    run = ground.begin(_with(plan, options=["--begin=now+3"]))
    run.directory.plan.rename(run.directory.path / "hidden.json")  # as if it were not shared
    wait_for(lambda: "COMPLETING" not in _state(run) and "FAILED" in _state(run), 60)
    (run.directory.path / "hidden.json").rename(run.directory.plan)
    status = run.wait(60)
    assert status["state"] == "failed"
    assert "does not see the run directory" in status["reason"]


def _state(run: Run) -> str:
    argv = ["scontrol", "--oneliner", "show", "job", _job(run)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout


def test_requests_from_another_host_go_through_slurm(
    ground: grounds.Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ground.up(shell("chief", "echo begun; exec sleep 600"))
    run.wait(60, for_state=("running",))
    monkeypatch.setattr(RunDirectory, "locked", lambda _: False)
    run.restart("chief/0")
    wait_for(lambda: last_lines(run.directory.task("chief-0"), 5) == ["begun"] * 2, 60)
    assert run.stop(timeout_s=60)["state"] == "stopped"


def test_a_rendered_directory_runs_with_sbatch_alone(tmp_path: Path, slurm: Slurm) -> None:
    chief = shell("chief", "echo from $TENFOLD_ADDRESS", after={"ps": "ready"})
    plan = plan_of(chief, listener("ps", ready=ReadinessCheck("tcp"), service=True), cell="slurm")
    there = tmp_path / "rendered"
    files = [
        sbatch(plan, RenderLocations(plan.directory, str(there / "run"), python=sys.executable))
    ]
    for file in [*files, *run_files(plan)]:
        path = there / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    job = slurm.run("sbatch", "--parsable", str(there / "job.sbatch"))
    wait_for(lambda: job not in slurm.jobs(), 90)
    run = RunDirectory(there / "run")
    assert (read_json(run.status) or {})["state"] == "succeeded"
    assert last_lines(run.task("chief-0"), 5)[0].startswith("from ")


@pytest.mark.parametrize(
    ("state", "outcome", "words"),
    [
        (JobState("TIMEOUT"), "failed", "time limit"),
        (JobState("NODE_FAIL"), "failed", "nodes failed"),
        (JobState("OUT_OF_MEMORY"), "failed", "memory"),
        (JobState("CANCELLED"), "stopped", "cancelled"),
        (JobState("FAILED", exit_code=66), "failed", "run directory"),
    ],
)
def test_states_in_words(state: JobState, outcome: str, words: str) -> None:
    assert state.outcome("17")[0] == outcome
    assert words in state.outcome("17")[1]


def test_a_job_unknown_to_slurm_is_reported(slurm: Slurm) -> None:
    del slurm
    assert why_told("999999", 0) == ("failed", "Slurm no longer knows job 999999")


def test_blanks_and_patterns_in_paths_survive() -> None:
    plan = plan_of(Task("chief", 0, ("true",)), cell="slurm")
    text = sbatch(plan, RenderLocations("/x", "/a b/%j $X")).text
    assert "#SBATCH --output='/a b/%%j $X'/cell/slurm-%j.log\n" in text
    assert "\nRUN='/a b/%j $X'\n" in text


def test_down_cancels_no_job_but_the_runs_own(ground: grounds.Slurm, slurm: Slurm) -> None:
    """`elsewhere.json` may name any job: a task can write there."""
    later = "--begin=now+1hour"
    innocent = slurm.run("sbatch", "--parsable", later, "--wrap=sleep 600").strip()
    run = ground.begin(_with(ground.plan(shell("chief", "exit 0")), options=[later]))
    own = read_json(run.directory.elsewhere) or {}
    write_json(run.directory.elsewhere, own | {"job": innocent})
    with pytest.raises(TenfoldError, match="is not this run's"):
        api.sweep(run.directory)
    assert innocent in slurm.jobs()
    write_json(run.directory.elsewhere, own)
    assert ground.tenfold("down").returncode == 0
    assert run.wait(60)["state"] == "stopped"
    slurm.run("scancel", innocent)
