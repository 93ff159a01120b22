"""Stacks as people read them."""

from __future__ import annotations

from tenfold.base.naming import ranges
from tenfold.debug.accounts import Silence
from tenfold.debug.findings import Findings
from tenfold.debug.groups import grouped
from tenfold.debug.stacks import ProcessStacks, StackFrame, TaskStacks, Thread
from tenfold.debug.suspect import Evidence, suspects
from tenfold.debug.words import said
from tests.debug.shapes import task, thread

LIBRARY = StackFrame("recv", "/x/lib/python3.11/site-packages/grpc/_channel.py", 12)


def text_of(*tasks: TaskStacks, silent: tuple[Silence, ...] = ()) -> list[str]:
    found = Findings(tasks, grouped(tasks), silent, suspects(Evidence(tasks)), 0.1)
    return [text for text, _ in said(found)]


def test_names_in_a_row_are_folded() -> None:
    tasks = ["chief/0", "worker/0", "worker/1", "worker/2", "worker/5", "ps/1"]
    assert ranges(tasks) == "chief/0, worker/0-2, worker/5, ps/1"


def test_a_stopped_task_is_shown_apart_from_its_group() -> None:
    waiting = Thread((LIBRARY, *thread("pull:7").frames))
    pool = [thread("get:1")] * 3
    workers = [task(f"worker/{n}", waiting, *pool, wchan="do_poll") for n in range(3)]
    shown = text_of(*workers, task("worker/3", waiting, state="T"))
    assert shown == [
        "stands out: worker/3 is stopped by a signal (state T); `kill -CONT 7` continues it",
        "",
        "×3  worker/0-2  running, sleeps in do_poll, by faulthandler",
        "    recv  grpc/_channel.py:12",
        "    pull  /w/train.py:7",
        "    + 3 threads:",
        "      get  /w/train.py:1",
        "",
        "×1  worker/3  running, stopped (T), by faulthandler",
        "    recv  grpc/_channel.py:12",
        "    pull  /w/train.py:7",
    ]


def test_a_missing_stack_has_a_reason_and_a_hint() -> None:
    shell = ProcessStacks(7, "S", "sh", wchan="do_wait", trouble="is not a Python program")
    python = ProcessStacks(8, "S", "python", trouble="does not answer", hint="do this")
    down = TaskStacks("worker/1", "restarting", trouble="is not running: restarting")
    shown = text_of(TaskStacks("worker/0", processes=(shell, python)), down)
    assert shown[2:] == [
        "×1  worker/0  running, sleeps in do_wait",
        "    sh is not a Python program",
        "    python does not answer",
        "    hint: do this",
        "",
        "×1  worker/1  restarting",
        "    is not running: restarting",
    ]


def test_silent_edges_are_listed_with_their_silence() -> None:
    silent = (Silence("ps/0", "worker/0", None), Silence("ps/0", "worker/1", 12.4))
    assert text_of(silent=silent) == [
        "", "planned but silent:",
        "    ps/0 - worker/0  never a byte", "    ps/0 - worker/1  for 12 s",
    ]  # fmt: skip
