"""The task runner as a container starts it: `tenfold task`, with a plan in a run directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import InputError, UnavailableError
from tenfold.planning.plan import Plan, ReadinessCheck, Task
from tenfold.run.jsonfiles import read_json, write_json
from tenfold.run.rundir import RunDirectory
from tenfold.tasks.container import read_plan
from tests.conftest import wait_for
from tests.plans import plan_of, shell


def _laid_out(home: Path, *tasks: Task, **more: Any) -> RunDirectory:
    """A run directory as a cell hands it over."""
    placed = [replace(task, address=f"127.0.0.1:{39_000 + n}") for n, task in enumerate(tasks)]
    run = RunDirectory(home)
    write_json(run.plan, plan_of(*placed, **more).to_json())
    return run


def _task(run: RunDirectory, *words: str, **env: str) -> subprocess.Popen[str]:
    environment = os.environ | {"TENFOLD_RUN_DIRECTORY": str(run.path)} | env
    return subprocess.Popen(
        [sys.executable, "-m", "tenfold", "task", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _life(run: RunDirectory, label: str = "chief-0") -> dict[str, Any]:
    return read_json(run.task(label).life) or {}


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("exit 0", 0, (0, None)),
        ("exit 7", 7, (7, None)),
        ("kill -9 $$", 137, (None, 9)),
        ("kill $$", 143, (None, 15)),
    ],
)
def test_it_exits_as_the_command_does(
    tmp_path: Path, script: str, code: int, told: tuple[int | None, int | None]
) -> None:
    run = _laid_out(tmp_path, shell("chief", f"echo out; echo err >&2; {script}"))
    ended = tmp_path / "ended"
    with _task(run, "chief/0", TENFOLD_TERMINATION_LOG=str(ended)) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert (out, err) == ("out\n", "err\n")
    assert run.task("chief-0").log("stdout").read_text() == "out\n"
    life = _life(run)
    assert (life["number"], life["exit_code"], life["signal"]) == (1, *told)
    assert json.loads(ended.read_text()) == {
        "exit_code": told[0],
        "signal": told[1],
        "refused": None,
    }
    assert not run.task("chief-0").ready.exists()


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    run = _laid_out(tmp_path, Task("chief", 0, ("no-such-program",), workdir="/tmp"))
    with _task(run, "chief/0") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 127
    assert err == "chief/0: no-such-program: No such file or directory\n"
    assert _life(run)["refused"] == "no-such-program: No such file or directory"


def test_a_port_that_the_cell_did_not_assign_is_reported(tmp_path: Path) -> None:
    run = _laid_out(
        tmp_path, shell("chief", "exec sleep 600", ready=ReadinessCheck("tcp", port="http"))
    )
    with _task(run, "chief/0") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 127
    assert err == "chief/0: the cell assigned it no port http, which its readiness check needs\n"


def test_signals_are_passed_on_and_nothing_is_left(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 3' TERM; setsid sleep 600 & echo $!; while :; do sleep 0.1; done"
    run = _laid_out(tmp_path, shell("chief", script))
    with _task(run, "chief/0") as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, "bye\n" in out) == (3, True)
    with pytest.raises(ProcessLookupError):
        os.kill(left, 0)


def test_ready_is_a_file_that_a_health_check_looks_at(tmp_path: Path) -> None:
    task = shell(
        "chief", "sleep 0.3; echo open; exec sleep 600", ready=ReadinessCheck("log", "^open")
    )
    run = _laid_out(tmp_path, task)
    with _task(run, "chief/0") as process:
        wait_for(lambda: run.task("chief-0").ready.exists(), 30)
        assert _life(run)["ready"] >= _life(run)["started"] + 0.2
        process.terminate()
        process.wait(60)
    assert not run.task("chief-0").ready.exists()


def test_starts_of_a_task_are_numbered(tmp_path: Path) -> None:
    run = _laid_out(tmp_path, shell("chief", "exit 1"))
    for number in (1, 2):
        with _task(run, "chief/0") as process:
            process.communicate(timeout=30)
        assert _life(run)["number"] == number


def test_kubernetes_sets_the_index_of_a_task(tmp_path: Path) -> None:
    run = _laid_out(tmp_path, *(shell(f"worker/{n}", "echo $TENFOLD_TASK") for n in range(2)))
    with _task(run, "worker", JOB_COMPLETION_INDEX="1") as process:
        assert process.communicate(timeout=30)[0] == "worker/1\n"
    with _task(run, "worker") as process:
        assert "write worker/3" in process.communicate(timeout=30)[1]
    assert process.returncode == InputError("").exit_code


def test_waiting_for_the_jobs_it_comes_after(tmp_path: Path) -> None:
    after = {"ps": "ready", "corpus": "succeeded"}
    ps, corpus = shell("ps", "true", ready=ReadinessCheck("tcp")), shell("corpus", "true")
    run = _laid_out(tmp_path, shell("chief", "true", after=after), ps, corpus)
    for name in ("ps-0", "corpus-0"):
        run.task(name).path.mkdir(parents=True)
    with _task(run, "chief/0", "--wait") as process:
        run.task("ps-0").ready.touch()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        write_json(run.task("corpus-0").life, {"exit_code": 0})
        assert process.wait(60) == 0
        process.communicate()


def test_without_a_plan_the_output_says_that_nothing_is_shared(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="the run directory is not shared"):
        read_plan({"TENFOLD_RUN_DIRECTORY": str(tmp_path)})


def test_a_plan_from_elsewhere_furnishes_an_empty_run_directory(tmp_path: Path) -> None:
    given = _laid_out(tmp_path, shell("chief", "true"))
    there = tmp_path / "empty"
    there.mkdir()
    env = {"TENFOLD_RUN_DIRECTORY": str(there), "TENFOLD_PLAN": str(given.plan)}
    run, plan = read_plan(env)
    assert read_json(run.path / "addresses.json") == {"chief-0": "127.0.0.1:39000"}
    assert (there / "checkpoints").is_dir()
    assert Plan.from_json(read_json(run.plan) or {}) == plan


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    task = shell("chief", "true", env={"A_TOKEN": "hidden value"}, secrets=("A_TOKEN",))
    run = _laid_out(tmp_path, task)
    assert "hidden value" not in run.plan.read_text()
    _, plan = read_plan({"TENFOLD_RUN_DIRECTORY": str(run.path), "A_TOKEN": "given"})
    assert plan.task("chief/0").env["A_TOKEN"] == "given"


_SAVES = """
import pathlib, signal, sys, time

def save(*_):
    print("saving", flush=True)
    time.sleep(0.5)
    pathlib.Path(sys.argv[1]).touch()
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
print("begun", flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.mark.parametrize(
    "script", ["{} && echo done", "{} | cat >&2", "setsid {} & wait", "(setsid {} &); sleep 600"]
)
def test_a_training_below_a_wrapper_saves_when_the_runner_gets_sigterm(
    tmp_path: Path, script: str
) -> None:
    program, saved = tmp_path / "saves.py", tmp_path / "saved"
    program.write_text(_SAVES)
    command = f"{sys.executable} {program} {saved}"
    run = _laid_out(tmp_path, shell("chief", script.format(command)), stop_grace_s=30.0)
    with _task(run, "chief/0") as runner:
        logs = [run.task("chief-0").log(stream) for stream in ("stdout", "stderr")]
        wait_for(lambda: any(log.exists() and "begun" in log.read_text() for log in logs))
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(60) == 128 + signal.SIGTERM
    assert saved.exists()


def test_remaining_processes_in_a_container_get_the_grace_period(tmp_path: Path) -> None:
    program, saved = tmp_path / "saves.py", tmp_path / "saved"
    program.write_text(_SAVES)
    log = tmp_path / "tasks" / "chief-0" / "stdout.log"
    begins = f"until grep -q begun {log}; do sleep 0.05; done"
    script = f"{sys.executable} {program} {saved} & {begins}; exit 7"
    run = _laid_out(tmp_path, shell("chief", script), stop_grace_s=30.0)
    with _task(run, "chief/0") as runner:
        assert runner.wait(60) == 7
    assert saved.exists()


def test_a_child_that_ignores_sigterm_in_a_container_is_killed_after_the_grace(
    tmp_path: Path,
) -> None:
    deaf = "trap '' TERM; echo $$; while :; do sleep 0.1; done"
    script = f'sh -c "{deaf.replace("$", chr(92) + "$")}" & sleep 1; exit 3'
    run = _laid_out(tmp_path, shell("chief", script), stop_grace_s=0.5)
    with _task(run, "chief/0") as runner:
        assert runner.wait(60) == 3
    pid = int(run.task("chief-0").log("stdout").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
