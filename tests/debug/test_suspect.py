"""Who is the likely culprit: a table of standstills."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenfold.debug.accounts import Silence
from tenfold.debug.stacks import TaskStacks
from tenfold.debug.suspect import Evidence, suspects
from tests.debug.shapes import task, thread

WAIT, HOLD = thread("recv:3", "<module>:9"), thread("hold:5", "<module>:9")
WORKERS = [task(f"worker/{n}", WAIT) for n in range(3)]
CHIEF = task("chief/0", WAIT)
DOWN = TaskStacks("ps/0", "restarting", trouble="is not running: restarting")


def likely(*tasks: TaskStacks, **more: Any) -> tuple[str, str] | None:
    found = suspects(Evidence(tasks, **more))
    return (found[0].task, found[0].because) if found else None


def silences(**seconds: float | None) -> list[Silence]:
    """`worker_0=3.0`: so long has nothing flown between it and ps/0."""
    return [Silence("ps/0", name.replace("_", "/"), value) for name, value in seconds.items()]


def test_no_task_is_suspected_if_all_are_alike() -> None:
    assert likely(*WORKERS, CHIEF) is None
    assert likely() is None
    assert likely(*WORKERS, silences=silences(worker_0=9.0, worker_1=9.5, worker_2=10.0)) is None


@pytest.mark.parametrize(
    ("tasks", "more", "name", "because"),
    [
        ([*WORKERS, task("ps/0", WAIT, state="T")], {}, "ps/0", "`kill -CONT 7` continues it"),
        ([replace(task("ps/0", WAIT, state="T"), elsewhere=True)], {}, "ps/0",
         "`tenfold exec ps/0 -- sh -c 'kill -CONT 7'` continues it"),
        ([*WORKERS, task("ps/0", WAIT, state="D", wchan="nfs_wait")], {}, "ps/0", "in nfs_wait"),
        ([*WORKERS, DOWN], {}, "ps/0", "is not running: restarting"),
        (WORKERS, {"silences": [Silence("ps/0", "worker/0", 9.0, cut=True),
                                Silence("ps/1", "worker/0", 2.0)], "accused": "worker/2"}, "ps/0",
         "is cut off: what is sent between it and worker/0 is not acknowledged"),
        (WORKERS, {"accused": "worker/2"}, "worker/2", "makes no progress while others do"),
        ([*WORKERS, task("worker/3", HOLD), CHIEF], {}, "worker/3",
         "is at hold (train.py:5); 3 of 4 worker tasks are at recv (train.py:3)"),
        ([*WORKERS, task("worker/3", WAIT, HOLD), CHIEF], {}, "worker/3", "or with other threads"),
        (WORKERS, {"silences": silences(worker_0=9.0, worker_1=60.0, worker_2=9.5)}, "worker/1",
         "has been silent for 1 min 00 s"),
        (WORKERS, {"silences": silences(worker_0=1.0, worker_1=None, worker_2=1.0)}, "worker/1",
         "has been silent since the start"),
        ([CHIEF, *WORKERS], {"cores": {"chief/0": 0.98, "worker/0": 0.01, "worker/1": 0.0}},
         "chief/0", "computes (98 % of a core), and all others wait"),
        ([task("chief/0", WAIT, wchan="wait_woken"), task("ps/0", HOLD, wchan="futex_do_wait")],
         {}, "ps/0", "all others wait on their connections"),
    ],
)  # fmt: skip
def test_each_rule_names_the_suspect_and_the_reason(
    tasks: list[TaskStacks], more: dict[str, Any], name: str, because: str
) -> None:
    found = likely(*tasks, **more)
    assert found is not None
    assert found[0] == name
    assert because in found[1]


def test_the_more_certain_suspect_comes_first_and_each_once() -> None:
    odd_and_stopped = task("worker/3", HOLD, state="T")
    found = suspects(Evidence([*WORKERS, odd_and_stopped, DOWN]))
    assert [suspect.task for suspect in found] == ["worker/3", "ps/0"]


@pytest.mark.parametrize(
    "tasks",
    [
        [task("worker/0", WAIT), task("worker/1", HOLD)],  # of two, which is the odd one?
        [*WORKERS[:2], task("worker/2", HOLD), task("worker/3", HOLD)],  # no majority
    ],
)
def test_no_task_is_suspected_if_no_stack_is_usual(tasks: list[TaskStacks]) -> None:
    assert likely(*tasks) is None
