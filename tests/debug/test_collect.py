"""Many tasks at once: none holds up another, and none is forgotten."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tenfold.debug.collect import StackTarget, collect
from tenfold.run.rundir import RunDirectory
from tests.debug.programs import ANSWERS, HOLD, functions, program, stop

HERE = StackTarget("worker/0", "running", None)


def nowhere(task: str, words: Sequence[str]) -> list[str] | None:
    """Every task is a process of this machine."""
    del task, words
    return None


def test_a_stopped_task_and_a_vanished_task_delay_no_other(tmp_path: Path) -> None:
    code = f"{HOLD}{ANSWERS}hold()"
    with program(tmp_path, code) as well, program(tmp_path, code, "worker/1") as stopped:
        stop(stopped)
        wanted = [
            StackTarget("worker/0", "running", well), StackTarget("worker/1", "running", stopped),
            StackTarget("worker/2", "running", 2**22 + 1),
            StackTarget("worker/3", "restarting", None),
            StackTarget("worker/4", "running", None),
        ]  # fmt: skip
        found = collect(RunDirectory(tmp_path), wanted, nowhere, bound_s=20)
    assert [one.task for one in found] == [f"worker/{n}" for n in range(5)]
    assert [functions(one.processes[0]) for one in found[:2]] == [["hold", "<module>"]] * 2
    assert [bool(one.stopped) for one in found] == [False, True, False, False, False]
    assert [one.trouble for one in found] == [
        None, None, "its process is gone", "is not running: restarting", "its pid is unknown",
    ]  # fmt: skip


def test_stacks_that_take_too_long_are_not_waited_for(tmp_path: Path) -> None:
    def beside(task: str, words: Sequence[str]) -> list[str] | None:
        del words
        if task == "worker/1":
            return ["sleep", "600"]
        answer = {"task": "?", "state": "?", "processes": [], "elsewhere": False}
        answer["trouble"] = "an answer"
        return [sys.executable, "-c", f"import json; print(json.dumps({answer}))"]

    began = time.monotonic()
    wanted = [StackTarget(f"worker/{n}", "running", None) for n in range(3)]
    found = collect(RunDirectory(tmp_path), wanted, beside, bound_s=1.0)
    assert time.monotonic() - began < 20
    assert [one.trouble for one in found[::2]] == ["an answer"] * 2
    assert found[1].task == "worker/1"
    assert found[1].trouble is not None


def test_a_refusal_of_the_engine_is_reported_with_its_message(tmp_path: Path) -> None:
    def beside(task: str, words: Sequence[str]) -> list[str] | None:
        del words
        if task == "worker/1":
            raise RuntimeError("no engine")
        return ["sh", "-c", "echo no such container >&2; exit 1"]

    wanted = [StackTarget(f"worker/{n}", "running", None) for n in range(2)]
    first, second = collect(RunDirectory(tmp_path), wanted, beside)
    assert first.trouble == "cannot be reached: no such container"
    assert second.trouble == "cannot be reached: RuntimeError: no engine"


def test_collecting_from_no_tasks_gives_nothing(tmp_path: Path) -> None:
    assert collect(RunDirectory(tmp_path), [], nowhere) == []
