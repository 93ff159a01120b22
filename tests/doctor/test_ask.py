"""Asking programs that answer, hang, or cannot be started; and several things side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tenfold.cells.probing.ask import Answer, ask, together
from tests.conftest import wait_for


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_ask_returns_exit_code_and_output() -> None:
    assert ask(["sh", "-c", "echo out; echo err >&2; exit 3"], 10) == Answer(3, "out\n", "err\n")
    answer = ask(["sh", "-c", "echo $LC_ALL $MORE; cat"], 10, {"MORE": "more"})
    assert answer == Answer(0, "C more\n", "")


def test_a_program_that_cannot_start_gives_exit_code_126(tmp_path: Path) -> None:
    answer = ask([str(tmp_path / "nothing")], 10)
    assert answer is not None
    assert answer.code == 126
    assert "No such file" in answer.last_line()


def test_the_last_line_is_fit_to_be_shown() -> None:
    assert Answer(1, "first\n", "a\n\x1b[2Jlast\n\n").last_line() == "␛[2Jlast"
    assert Answer(7, "", " \n").last_line() == "it ended with 7"


@pytest.mark.parametrize("first", ["", "trap '' TERM;"])
def test_of_a_program_that_hangs_nothing_is_left(tmp_path: Path, first: str) -> None:
    """Nor of what it started, which has its output, too."""
    pids = tmp_path / "pids"
    script = f"{first} sleep 600 & echo $$ $! > {pids}; wait"
    assert ask(["sh", "-c", script], 0.5) is None
    for pid in pids.read_text().split():
        wait_for(lambda pid=int(pid): gone(pid), 10)  # type: ignore[misc]


def test_a_grandchild_that_holds_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    assert ask(["sh", "-c", f"sleep 600 & echo $! > {pid}; echo done"], 0.5) is None
    wait_for(lambda: gone(int(pid.read_text())), 10)


def test_probes_run_side_by_side_and_answer_in_their_order() -> None:
    both = threading.Barrier(2, timeout=20)

    def probe(name: str) -> str:
        both.wait()  # passes only if the other one runs, too
        return name

    assert together(lambda: probe("a"), lambda: probe("b")) == ["a", "b"]
    assert together() == []


def test_an_error_of_a_probe_is_raised() -> None:
    def bad() -> str:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        together(bad, lambda: "good")


def test_an_interrupt_leaves_no_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hang = ["sh", "-c", f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600"]
    code = f"from tenfold.cells.probing.ask import *; together(lambda: ask({hang!r}, 500))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as asking:
        try:
            wait_for(pid.exists)
            os.kill(asking.pid, signal.SIGINT)
            assert asking.wait(60) != 0
        finally:
            asking.kill()
    wait_for(lambda: gone(int(pid.read_text())), 10)
