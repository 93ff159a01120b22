"""A task that removes or replaces files of its run: the run goes on, and is told of as it was."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.bringup import api
from tenfold.cluster.spec import Cluster
from tenfold.run.eventlog import read_events
from tenfold.run.jsonfiles import read_json
from tenfold.run.logs import last_lines
from tenfold.run.rundir import RunDirectory
from tests.cli.desk import Desk
from tests.conftest import wait_for


@pytest.fixture
def desk(tmp_path: Path, runs: Path) -> Desk:
    return Desk(tmp_path, runs)


def _cluster(desk: Desk, script: str, **more: object) -> None:
    (desk.directory / "task.sh").write_text(script)
    restart = "".join(f", {name}: {value}" for name, value in more.items())
    desk.write(f"cluster: demo\nstop_grace: 5s\njobs:\n  worker: {{run: sh task.sh{restart}}}\n")


def _run(desk: Desk) -> RunDirectory:
    return RunDirectory(next((desk.runs / "demo").iterdir()))


@pytest.mark.parametrize(
    ("code", "state", "later"), [(0, "succeeded", "; sleep 1.5"), (3, "failed", "")]
)
@pytest.mark.parametrize("what", ["$TENFOLD_RUN_DIRECTORY", "$TENFOLD_RUN_DIRECTORY/../.."])
def test_a_run_whose_task_removed_the_run_directory_is_shown_as_it_ended(
    desk: Desk, code: int, state: str, later: str, what: str
) -> None:
    _cluster(desk, f"rm -rf {what}/*{later}; rm -rf {what}; exit {code}\n")
    done = desk.tenfold("up")
    assert done.code == (1 if code else 0), done.err
    assert f"demo {state}" in done.err
    assert "supervisor" not in done.err.replace("supervisor.lock", "")
    listed = desk.tenfold("ps", "-a")
    assert state in listed.out
    run = _run(desk)
    assert not run.alive()
    assert "removed during the run" in " ".join(
        str(event.more.get("message")) for event in read_events(run.events)[0]
    )
    assert desk.tenfold("why").out.startswith(f"demo {state}")


def test_a_run_whose_directory_was_removed_is_seen_and_stopped(desk: Desk) -> None:
    _cluster(desk, "rm -rf $TENFOLD_RUN_DIRECTORY; touch removed; exec sleep 600\n")
    run = api.up(desk.directory / "tenfold.yaml", runs=desk.runs)
    wait_for((desk.directory / "removed").exists)
    wait_for(lambda: run.directory.alive() and run.directory.control.is_socket())
    wait_for(lambda: run.status()["tasks"][0]["state"] == "running")
    done = desk.tenfold("down")
    assert "not answer" not in done.err
    assert run.wait(60)["state"] == "stopped"


FOREIGN = """
cd $TENFOLD_RUN_DIRECTORY
test -e $OUT/second && { echo second life; exec sleep 600; }
rm -f supervisor.lock control.sock events.jsonl status.json plan.json supervisor.log
mkfifo supervisor.lock control.sock plan.json
ln -s $OUT/precious events.jsonl
ln -s $OUT/precious status.json
cd tasks/worker-0
rm -f *.log *.times *.json *.jsonl
ln -s $OUT/precious stdout.log
mkfifo stderr.log stdout.times traffic.jsonl usage.jsonl progress.json
mkdir status.json
touch $OUT/second
exit 1
"""


def test_a_task_that_replaces_files_of_its_run_neither_stops_nor_redirects_tenfold(
    desk: Desk,
) -> None:
    (desk.directory / "precious").write_text("precious")
    script = f"OUT={desk.directory}\n{FOREIGN}"
    _cluster(desk, script, restart="{policy: on-failure, backoff: 100ms}")
    run = api.up(desk.directory / "tenfold.yaml", runs=desk.runs)
    worker = run.directory.task("worker-0")
    wait_for(lambda: "second life" in last_lines(worker, 5))
    wait_for(lambda: run.directory.alive() and run.directory.control.is_socket())
    wait_for(lambda: run.status()["tasks"][0]["state"] == "running")
    for words in (("ps",), ("ps", "-a"), ("logs",), ("why",), ("events",), ("map",), ("stacks",)):
        done = desk.tenfold(*words)
        assert done.code == 0, (words, done.err)
        assert "unexpected" not in done.err
    kinds = [event.kind for event in read_events(run.directory.events)[0]]
    assert kinds[0] == "cluster-starting"
    assert "task-retried" in kinds
    assert desk.tenfold("down").code == 0
    assert run.wait(60)["state"] == "stopped"
    assert (desk.directory / "precious").read_text() == "precious"
    assert not worker.log("stdout").is_symlink()


@pytest.mark.parametrize(
    "damage", ["echo garbage >plan.json", "truncate -s 1T plan.json", ": >plan.json"]
)
def test_a_plan_that_a_task_overwrites_is_put_back(desk: Desk, damage: str) -> None:
    _cluster(desk, f"cd $TENFOLD_RUN_DIRECTORY; {damage}; touch damaged; exec sleep 600\n")
    run = api.up(desk.directory / "tenfold.yaml", runs=desk.runs)
    wait_for((run.directory.path / "damaged").exists)
    wait_for(lambda: read_json(run.directory.plan) is not None)
    assert desk.tenfold("stacks").code == 0
    assert desk.tenfold("down").code == 0
    assert run.wait(60)["state"] == "stopped"


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_down_kills_a_supervisor_that_is_stopped_and_no_pid_that_a_file_names(
    desk: Desk, innocent: subprocess.Popen[bytes]
) -> None:
    _cluster(desk, "exec sleep 600\n")
    run = api.up(desk.directory / "tenfold.yaml", runs=desk.runs)
    wait_for(lambda: run.status()["state"] == "running")
    said = run.directory.status.read_text()
    supervisor = _pid(said)
    os.kill(supervisor, signal.SIGSTOP)
    run.directory.status.write_text(said.replace(f":{supervisor},", f":{innocent.pid},"))
    done = desk.tenfold("down", "--kill")
    assert "demo is failed" in done.err, done.err
    assert not run.directory.alive()
    assert innocent.poll() is None


def _pid(said: str) -> int:
    import json

    return int(json.loads(said)["supervisor_pid"])


def test_a_cluster_from_python_ends_as_it_ended(desk: Desk) -> None:
    (desk.directory / "task.sh").write_text("rm -rf $TENFOLD_RUN_DIRECTORY; exit 0\n")
    cluster = Cluster.model_validate(
        {"cluster": "demo", "jobs": {"worker": {"run": f"sh {desk.directory}/task.sh"}}}
    )
    assert api.up(cluster, runs=desk.runs).wait(60)["state"] == "succeeded"
