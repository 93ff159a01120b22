"""`tenfold logs`, `restart` and `exec`, as typed."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from tenfold.cli.common import seconds
from tenfold.cli.logs import since_moment
from tenfold.errors import InputError
from tenfold.run.jsonfiles import write_json
from tenfold.run.rundir import RunDirectory, create
from tests.cli.desk import Desk
from tests.conftest import wait_for


@pytest.fixture
def written(runs: Path) -> RunDirectory:
    """A run that is over: two workers with ten lines on each stream, one a second."""
    run = create(runs, "old")
    tasks = [{"task": f"worker/{n}", "job": "worker", "index": n} for n in range(2)]
    write_json(run.plan, {"cluster": "old", "tasks": tasks})
    write_json(run.status, {"state": "succeeded", "started": 1000.0, "ended": 1010.0})
    for index in range(2):
        directory = run.task(f"worker-{index}")
        directory.path.mkdir()
        for shift, stream in enumerate(("stdout", "stderr")):
            lines = [f"{stream} {n}\n" for n in range(10)]
            directory.log(stream).write_text("".join(lines))
            size = len(lines[0])
            directory.times(stream).write_text(
                "".join(f"{n * size} {1000 + n + 0.2 * index + 0.1 * shift}\n" for n in range(10))
            )
    return run


@pytest.mark.usefixtures("written")
def test_all_lines_by_time(desk: Desk) -> None:
    said = desk.tenfold("logs")
    assert said.code == 0
    assert said.out.splitlines()[:5] == [
        "worker-0 | stdout 0",
        "worker-0 | stderr 0",
        "worker-1 | stdout 0",
        "worker-1 | stderr 0",
        "worker-0 | stdout 1",
    ]
    assert len(said.out.splitlines()) == 40


@pytest.mark.usefixtures("written")
def test_logs_prints_one_json_object_per_line(desk: Desk) -> None:
    said = desk.tenfold("logs", "--json", "--tail", "1", "worker/1")
    assert [json.loads(line) for line in said.out.splitlines()] == [
        {"time": 1009.3, "task": "worker/1", "stream": "stderr", "text": "stderr 9"}
    ]


@pytest.mark.usefixtures("written")
def test_tail_counts_both_streams_of_each_task_together(desk: Desk) -> None:
    said = desk.tenfold("logs", "--tail", "3", "--no-log-prefix", "worker/1")
    assert said.out.splitlines() == ["stderr 8", "stdout 9", "stderr 9"]
    assert len(desk.tenfold("logs", "--tail", "3").out.splitlines()) == 6
    assert desk.tenfold("logs", "--tail", "0").out == ""
    assert len(desk.tenfold("logs", "--tail", "all").out.splitlines()) == 40


@pytest.mark.usefixtures("written")
def test_since_and_tail_together(desk: Desk) -> None:
    said = desk.tenfold("logs", "--since", "1970-01-01T00:16:48Z", "--tail", "9", "worker/0", "-t")
    lines = said.out.splitlines()
    assert [line.rpartition(" ")[0].split()[-1] for line in lines] == ["stdout", "stderr"] * 2
    assert re.match(r"worker-0 \| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]", lines[0])


def test_cluster_may_stand_before_the_tasks(desk: Desk, written: RunDirectory) -> None:
    wanted = desk.tenfold("logs", "worker/1").out
    assert desk.tenfold("logs", "old", "worker/1").out == wanted
    assert desk.tenfold("logs", "-c", "old", "worker-1").out == wanted
    assert desk.tenfold("logs", f"old/{written.run}", "worker-1", "worker/1").out == wanted


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("wroker",), "did you mean worker?"),
        (("--tail", "-1"), "a number of lines, or all"),
        (("--since", "yesterday"), "write 30s, 5m"),
        (("-c", "new"), "no run of cluster new"),
        (("old", "chief"), "has no task"),
    ],
)
def test_logs_rejects_invalid_arguments(desk: Desk, words: tuple[str, ...], message: str) -> None:
    said = desk.tenfold("logs", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_head_closes_the_pipe_in_peace(desk: Desk, written: RunDirectory) -> None:
    written.task("worker-0").log("stdout").write_text("x" * 99 + "\n" * 500_000)
    with desk.start("logs") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_without_a_plan_what_is_left_is_shown(desk: Desk, written: RunDirectory) -> None:
    written.plan.unlink()
    assert len(desk.tenfold("logs").out.splitlines()) == 40
    assert "worker/1" in desk.tenfold("ps").out


def test_leaving_follow_is_no_error(desk: Desk) -> None:
    desk.tenfold("up", "--wait")
    with desk.type("logs", "-f") as typed:
        typed.see("begun")
        typed.press("\x03")
        assert typed.end() == 0
    desk.tenfold("restart", "chief")
    wait_for(lambda: desk.tenfold("logs", "chief").out.count("begun") == 2)
    desk.tenfold("down", "--kill")


def test_exec_gives_the_exit_code_and_the_streams(desk: Desk) -> None:
    desk.tenfold("up", "--wait")
    show = "cat; echo $TENFOLD_TASK; echo oops >&2; exit 3"
    said = desk.tenfold("exec", "worker/1", "--", "sh", "-c", show, stdin="hello\n")
    assert (said.code, said.out, said.err) == (3, "hello\nworker/1\n", "oops\n")
    assert desk.tenfold("exec", "worker/1", "sh", "-c", "kill -9 $$").code == 128 + signal.SIGKILL
    missing = desk.tenfold("exec", "worker/1", "--", "no-such-program")
    assert (missing.code, missing.err) == (127, "tenfold: no-such-program: not found\n")
    assert desk.tenfold("exec", "worker", "true").code == 2
    assert desk.tenfold("exec", "worker/1", "--").code == 2
    assert desk.tenfold("exec", "-c", "demo", "worker/1", "printf", "%s", "--runs").out == "--runs"
    desk.tenfold("down", "--kill")


def test_exec_of_a_shell_on_a_terminal(desk: Desk) -> None:
    """Ctrl-C inside ends what runs inside; the shell's own exit code comes through."""
    desk.tenfold("up", "--wait")
    with desk.type("exec", "worker/2", "--", "sh") as typed:
        # Not `sh -c 'echo …; sleep 500'`: dash loses a Ctrl-C between its last two commands.
        program = 'import os, time; print("I am", os.environ["TENFOLD_TASK"]); time.sleep(500)'
        typed.press(f"{sys.executable} -uc '{program}' 2>/dev/null\n")
        typed.see("I am worker/2")
        typed.press("\x03")
        typed.press("echo still $((40 + 2)); exit 4\n")
        typed.see("still 42")
        assert typed.end() == 4
    desk.tenfold("down", "--kill")


def test_times_as_people_write_them() -> None:
    assert since_moment("2h30m", 10_000.0) == 1000.0
    assert since_moment("90", 100.0) == 10.0
    assert since_moment("1970-01-01T00:01:00+00:00", 0.0) == 60.0
    assert seconds("500ms", "--timeout") == 0.5
    for text in ("", "5x", "-5", "nan", "1e9", "9" * 30, "5 m"):
        with pytest.raises(InputError, match="invalid value for --timeout"):
            seconds(text, "--timeout")
