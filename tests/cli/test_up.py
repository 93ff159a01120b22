"""`tenfold up` and `down`, as typed: in pipes, on a terminal, interrupted, left running."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.conftest import wait_for

FAILING = """
cluster: failing
jobs:
  chief: {run: "sleep 600"}
  worker:
    tasks: 2
    restart: never
    run: sh -c 'for i in $(seq 30); do echo line $i; done; exit 3'
"""
STUBBORN = """
cluster: stubborn
stop_grace: 300s
jobs:
  chief: {run: "sh -c 'trap \\"\\" TERM; echo deaf; while :; do sleep 0.1; done'"}
"""


def test_lines_go_to_stdout_and_talk_to_stderr(desk: Desk) -> None:
    (desk.directory / "go").touch()
    said = desk.tenfold("up")
    assert said.code == 0
    assert {"chief-0  | begun", "chief-0  | done"} <= set(said.out.splitlines())
    assert all(" | " in line for line in said.out.splitlines())
    assert said.err.startswith("demo: 4 tasks on this machine: chief, 3 worker\n")
    assert "demo succeeded: chief finished" in said.err
    assert "\x1b" not in said.out + said.err


def test_json_is_alone_on_stdout_when_detached(desk: Desk) -> None:
    said = desk.tenfold("up", "--wait", "--json")
    status = json.loads(said.out)
    assert (said.code, status["state"], status["version"]) == (0, "running", 1)
    assert {task["state"] for task in status["tasks"]} == {"running"}
    assert desk.tenfold("down").code == 0
    again = desk.tenfold("down")
    assert (again.code, "is not running" in again.err) == (0, True)


def test_down_with_nothing_there(desk: Desk) -> None:
    assert desk.tenfold("down").err == f"no cluster is running under {desk.runs}\n"
    assert desk.tenfold("down", "nope").code == 2


def test_down_stops_the_running_cluster(desk: Desk) -> None:
    desk.tenfold("up", "-d")
    desk.write("cluster: other\njobs: {a: {run: 'true'}}\n", "other.yaml")
    assert desk.tenfold("up", "other.yaml").code == 0
    assert "demo is stopped" in desk.tenfold("down").err


def test_first_failure_is_last_on_the_screen(desk: Desk) -> None:
    desk.write(FAILING)
    said = desk.tenfold("up")
    assert said.code == 1
    lines = said.err.splitlines()
    assert lines[-1].startswith("next: tenfold why ")
    assert lines[-21:-1] == [f"  │ line {n}" for n in range(11, 31)]
    assert lines[-22].startswith("first failure: worker/")
    assert "exited with code 3 at" in lines[-22]


def test_exit_code_from_a_task(desk: Desk) -> None:
    desk.write(FAILING.replace("tasks: 2", "tasks: 1"))
    assert desk.tenfold("up", "--exit-code-from", "worker/0").code == 3
    assert desk.tenfold("up", "--exit-code-from", "chief-0").code == 128 + signal.SIGTERM
    assert desk.tenfold("up", "--exit-code-from", "nobody").code == 2
    assert desk.tenfold("up", "-d", "--exit-code-from", "chief").code == 2


def test_ctrl_c_stops_gracefully_and_prints_that(desk: Desk) -> None:
    with desk.type("up") as typed:
        typed.see("4 tasks up after")
        typed.press("\x03")
        typed.see(r"stopping \(press Ctrl-C again to kill\)")
        assert typed.end() == 130
        assert "demo stopped: stopped by Ctrl-C" in typed.text


def test_ctrl_c_in_the_first_moment_is_not_lost(desk: Desk) -> None:
    with desk.type("up") as typed:
        typed.see("run /")
        typed.press("\x03")
        assert typed.end() == 130
        assert "Traceback" not in typed.text


def test_second_ctrl_c_kills(desk: Desk) -> None:
    desk.write(STUBBORN)
    with desk.type("up") as typed:
        typed.see("deaf")
        typed.press("\x03")
        typed.see("Ctrl-C again")
        typed.press("\x03")
        typed.see("killing")
        assert typed.end() == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_stop_gracefully_too(desk: Desk, number: signal.Signals) -> None:
    with desk.start("up") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, err = process.communicate(timeout=40)
    assert process.returncode == 128 + number
    assert f"demo stopped: stopped by {number.name}" in err.decode()


def test_a_run_continues_when_nobody_reads_its_output(desk: Desk) -> None:
    with desk.start("up") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        (desk.directory / "go").touch()
        err = process.stderr.read().decode()
    assert process.returncode == 0
    assert "Traceback" not in err
    assert "demo succeeded" in err


def test_keep_stays_until_it_is_ended(desk: Desk) -> None:
    (desk.directory / "go").touch()
    with desk.type("up", "--keep") as typed:
        typed.see("chief finished; the cluster keeps running")
        typed.press("\x03")
        assert typed.end() == 0


def test_waiting_has_a_limit_that_leaves_the_run(desk: Desk) -> None:
    desk.write("cluster: never\njobs: {a: {run: 'sleep 600', ready: tcp}}\n")
    said = desk.tenfold("up", "--wait", "--timeout", "500ms")
    assert said.code == 1
    assert "not all tasks have started after 0.5 s" in said.err
    assert desk.tenfold("down").code == 0


@pytest.mark.parametrize(
    "words",
    [("--timeout", "5"), ("-d", "--timeout", "soon"), ("nothing.yaml",), ("--runs", "go/x")],
)
def test_invalid_arguments_start_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    (desk.directory / "go").touch()
    said = desk.tenfold("up", *words)
    assert said.code == 2
    assert "Traceback" not in said.err
    assert not list(desk.runs.glob("*/*"))


def test_up_works_in_a_directory_with_a_hostile_name(desk: Desk) -> None:
    """Spaces, umlauts, a line of Japanese, and far too long for a socket's address."""
    home = desk.directory / "ü ä'ö $x" / "日本語" / ("x" * 120)
    home.mkdir(parents=True)
    here = Desk(home, desk.runs, {"TENFOLD_RUNS": ".tenfold/runs"})
    here.write((desk.directory / "tenfold.yaml").read_text())
    assert here.tenfold("up", "--wait").code == 0
    restarted = here.tenfold("restart", "worker/1")
    assert (restarted.code, restarted.err) == (0, "restarting worker/1\n")
    assert here.tenfold("exec", "worker/0", "pwd").out == f"{home}\n"
    assert here.tenfold("down").code == 0


PROGRESS = """
import sys, time, pathlib, tenfold
for n in range(10_000):
    tenfold.progress(n, 10_000, unit="words", epoch="1/1", loss=2.5)
    time.sleep(0.05)
    if pathlib.Path("go").exists():
        break
"""


def test_progress_on_a_terminal_is_one_line_with_rate_and_time_left(desk: Desk) -> None:
    desk.write("cluster: p\njobs: {chief: {run: python train.py}}\n")
    desk.write(PROGRESS, "train.py")
    with desk.type("up") as typed:
        typed.see(r"─ \d+ %  epoch 1/1  [\d.]+ words/s  loss 2.5  .* left")
        assert b"\r\x1b[2K" in typed.raw
        (desk.directory / "go").touch()
        assert typed.end() == 0


@pytest.mark.parametrize(
    ("words", "env"),
    [(("up",), {"TERM": "dumb"}), (("--color", "never", "up"), {}), (("up",), {"NO_COLOR": "1"})],
)
def test_terminal_without_colour(desk: Desk, words: tuple[str, ...], env: dict[str, str]) -> None:
    (desk.directory / "go").touch()
    with desk.type(*words, env=env) as typed:
        assert typed.end() == 0
        assert b"\x1b[3" not in typed.raw
        assert (b"\x1b[2K" in typed.raw) == ("TERM" not in env)


@pytest.mark.parametrize(
    ("words", "env"), [(("up",), {"FORCE_COLOR": "1"}), (("up", "--color", "always"), {})]
)
def test_colour_in_a_pipe_never_moves(
    desk: Desk, words: tuple[str, ...], env: dict[str, str]
) -> None:
    (desk.directory / "go").touch()
    said = desk.tenfold(*words, env=env)
    assert "\x1b[" in said.out
    assert "\x1b[2K" not in said.out + said.err


def test_same_lines_are_folded_on_a_terminal_unless_asked_not_to(desk: Desk) -> None:
    for words, folded in ((("up",), True), (("up", "--no-dedup"), False)):
        with desk.type(*words) as typed:
            seen = typed.see("warm  ×3 .* too" if folded else "(warm.*){3}")
            assert ("×" in seen) == folded
            typed.press("\x03")
            assert typed.end() == 130


def test_killed_supervisor_is_never_shown_as_running(desk: Desk) -> None:
    status = json.loads(desk.tenfold("up", "--wait", "--json").out)
    pid = json.loads(Path(status["directory"], "status.json").read_text())["supervisor_pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: json.loads(desk.tenfold("ps", "--json").out)["state"] == "failed")
    said = desk.tenfold("ps")
    assert "demo" in said.out
    assert "failed: its supervisor was killed" in said.out
    assert "running" not in said.out
    assert desk.tenfold("exec", "worker/0", "true").code == 1
    assert "is not running" in desk.tenfold("restart", "worker/0").err
