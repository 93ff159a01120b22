"""A task ends with the last of its processes, not with the first: wrappers, pipes, daemons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tenfold.bringup.api import Run, up
from tenfold.planning.plan import RestartPolicy
from tenfold.run.eventlog import read_events
from tests.conftest import wait_for
from tests.plans import plan_of, shell

SAVES = """
import pathlib, signal, sys, time

def save(*_):
    print("saving", flush=True)
    time.sleep(0.5)
    pathlib.Path(sys.argv[1] + ".saved").touch()
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1] + ".begun").touch()
while True:
    time.sleep(0.05)
"""
"""Saves for half a second when it is told to end; its argument is where it leaves word."""

DEAF = "trap '' TERM; touch $HERE.begun; while :; do sleep 0.1; done"


@pytest.fixture
def saves(tmp_path: Path) -> tuple[str, Path]:
    """A command that saves on SIGTERM, and the path at which it leaves word."""
    script = tmp_path / "saves.py"
    script.write_text(SAVES)
    return f"{sys.executable} {script} {tmp_path / 'word'}", tmp_path / "word"


def _word(path: Path, what: str) -> bool:
    return path.with_suffix(f".{what}").exists()


def _events(run: Run, kind: str) -> list[dict[str, Any]]:
    found, _ = read_events(run.directory.events)
    return [event.to_json() for event in found if event.kind == kind]


@pytest.mark.parametrize(
    "script",
    [
        "{} && echo done",
        "{} | cat",
        "{} 2>&1 | tee /dev/null | grep -v nothing",
        "cat | {} | cat",
        "{}; exit $?",
        "exec {}",
        "(exec {}) & wait",
        "setsid {} & wait",
        "(setsid setsid {} &); sleep 600",
        "bash -c '{}; true'; true",
    ],
)
def test_a_training_below_a_wrapper_saves_when_the_run_stops(
    runs: Path, isolation: str, saves: tuple[str, Path], script: str
) -> None:
    command, word = saves
    run = up(plan_of(shell("chief", script.format(command))), runs=runs, isolation=isolation)
    wait_for(lambda: _word(word, "begun"))
    assert run.stop(timeout_s=60)["state"] == "stopped"
    assert _word(word, "saved")


def test_remaining_processes_get_sigterm_and_the_exit_code_stays(
    runs: Path, isolation: str, saves: tuple[str, Path]
) -> None:
    command, word = saves
    script = f"{command} & while ! test -e {word}.begun; do sleep 0.02; done; exit 7"
    run = up(plan_of(shell("chief", script)), runs=runs, isolation=isolation)
    (task,) = run.wait(60)["tasks"]
    assert task["exit_code"] == 7
    assert _word(word, "saved")
    (left,) = _events(run, "task-left")
    (exited,) = _events(run, "task-exited")
    assert left["exit_code"] == 7
    assert exited["time"] > left["time"]


def test_a_success_stands_whatever_a_task_leaves_behind(runs: Path, isolation: str) -> None:
    plan = plan_of(shell("chief", "sleep 600 & exit 0"), stop_grace_s=30.0)
    assert up(plan, runs=runs, isolation=isolation).wait(60)["state"] == "succeeded"


def test_remaining_processes_that_ignore_sigterm_are_killed_after_the_grace(
    runs: Path, isolation: str, tmp_path: Path
) -> None:
    here = f"HERE={tmp_path / 'word'}; export HERE"
    script = f'{here}; (setsid sh -c "{DEAF}" &); until test -e $HERE.begun; do :; done; exit 3'
    plan = plan_of(shell("chief", script.replace("$HERE", str(tmp_path / "word"))),
                   stop_grace_s=1.0)  # fmt: skip
    (task,) = up(plan, runs=runs, isolation=isolation).wait(60)["tasks"]
    assert task["exit_code"] == 3


@pytest.mark.parametrize("kill", [True, False])
def test_a_stop_waits_for_a_child_that_ignores_sigterm_only_for_the_grace(
    runs: Path, isolation: str, tmp_path: Path, kill: bool
) -> None:
    script = f'sh -c "{DEAF}"; true'.replace("$HERE", str(tmp_path / "word"))
    plan = plan_of(shell("chief", script), stop_grace_s=600.0 if kill else 0.5)
    run = up(plan, runs=runs, isolation=isolation)
    wait_for(lambda: _word(tmp_path / "word", "begun"))
    assert run.stop(kill=kill, timeout_s=30)["state"] == "stopped"


def test_a_restart_waits_until_no_old_process_is_left(
    runs: Path, isolation: str, tmp_path: Path
) -> None:
    """Each life holds a lock for as long as a process of it runs, and fails if it is held."""
    hold = f"exec 9>{tmp_path}/lock; flock -n 9 || exit 99"
    script = (
        f"{hold}; trap '' TERM; echo x >> {tmp_path}/lives; n=$(wc -l < {tmp_path}/lives); "
        f"sh -c 'trap \"\" TERM; sleep 1' & test $n -gt 2 && exit 0; exit 3"
    )
    again = RestartPolicy("on-failure", limit=5, backoff_s=0.0)
    plan = plan_of(shell("chief", script, restart=again))
    status = up(plan, runs=runs, isolation=isolation).wait(60)
    assert status["state"] == "succeeded"
    assert status["tasks"][0]["restarts"] == 2


def test_a_restart_gives_the_whole_task_its_grace(
    runs: Path, isolation: str, saves: tuple[str, Path]
) -> None:
    command, word = saves
    run = up(plan_of(shell("chief", f"{command} | cat")), runs=runs, isolation=isolation)
    wait_for(lambda: _word(word, "begun"))
    run.restart("chief/0")
    wait_for(lambda: run.status()["tasks"][0]["restarts"] == 1)
    assert _word(word, "saved")
    run.stop(kill=True, timeout_s=60)


def test_a_stop_at_once_does_not_wait_for_leavings(
    runs: Path, isolation: str, tmp_path: Path
) -> None:
    script = f'sh -c "{DEAF}" & exit 3'.replace("$HERE", str(tmp_path / "word"))
    again = RestartPolicy("on-failure", limit=5)
    plan = plan_of(shell("chief", script, restart=again), stop_grace_s=600.0)
    run = up(plan, runs=runs, isolation=isolation)
    wait_for(lambda: _events(run, "task-left") and _word(tmp_path / "word", "begun"))
    run.stop(kill=True, timeout_s=60)  # the fixture sees that no process is left
