"""A task whose own process has ended, and whose others have not: their grace, and who is blamed."""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

import pytest

from tenfold.cells import Ended
from tenfold.planning.plan import RestartPolicy
from tenfold.supervise.failure import first_failure
from tests.supervise.histories import History, signalled, started, task

TOGETHER = RestartPolicy("on-failure", limit=3, backoff_s=0.0, scope="cluster")


def _left(history: History, name: str, code: int | None = 0, signal: int | None = None) -> None:
    history.state.observe_left(name, Ended(code, signal), history.now)


def test_remaining_processes_get_sigterm_and_sigkill_after_the_grace() -> None:
    history = History(task("chief"), grace_s=10.0)
    history.step(0.0)
    _left(history, "chief/0")
    assert signalled(history.step(1.0)) == [("chief/0", SIGTERM)]
    assert signalled(history.step(10.0)) == []
    assert signalled(history.step(11.0)) == [("chief/0", SIGKILL)]
    assert history.phases() == {"chief/0": "stopping"}


def test_a_task_that_got_sigterm_does_not_get_it_again() -> None:
    history = History(task("chief"), grace_s=10.0)
    history.step(0.0)
    history.state.ask_stop("because", 1.0)
    assert signalled(history.step(1.0)) == [("chief/0", SIGTERM)]
    history.now = 2.0
    _left(history, "chief/0", 1)
    assert signalled(history.step(3.0)) == []
    assert signalled(history.step(11.0)) == [("chief/0", SIGKILL)]
    history.ends("chief/0", 1)
    assert history.phases() == {"chief/0": "stopped"}


@pytest.mark.parametrize(("code", "phase"), [(0, "succeeded"), (3, "failed")])
def test_the_end_of_the_main_process_is_the_end_of_a_task(code: int, phase: str) -> None:
    history = History(task("chief"))
    history.step(1.0)
    _left(history, "chief/0", code)
    history.step(2.0)
    history.now = 4.0
    history.ends("chief/0", code)
    assert history.phases() == {"chief/0": phase}
    assert history.state.tasks["chief/0"].ended == 1.0


def test_a_restart_waits_for_the_end_of_all_old_processes() -> None:
    history = History(
        task("worker", restart=RestartPolicy("on-failure", backoff_s=0.0)), task("chief")
    )
    history.step(0.0)
    _left(history, "worker/0", None, SIGKILL)
    assert started(history.step(5.0)) == []
    history.ends("worker/0", None, SIGKILL)
    assert started(history.step(6.0)) == ["worker/0"]


def test_the_first_failure_counts_even_if_its_processes_remain() -> None:
    history = History(task("worker/0"), task("worker/1"), success=("worker",))
    history.step(1.0)
    _left(history, "worker/0", 3)
    history.step(2.0)
    history.ends("worker/1", 4)
    assert history.state.stop_since is None
    history.step(7.0)
    assert history.state.stop_since is None
    history.ends("worker/0", 3)
    history.step(8.0)
    assert history.state.reason == "worker/0 exited with code 3"
    first = first_failure(history.state.deaths)
    assert first is not None
    assert first.task == "worker/0"


def test_a_restart_of_all_is_owed_to_who_failed_first() -> None:
    tasks = [task(f"worker/{n}", restart=TOGETHER, member=True) for n in range(2)]
    history = History(*tasks, success=("worker",))
    history.step(1.0)
    _left(history, "worker/0", None, SIGKILL)
    history.now = 1.5
    history.ends("worker/1", 1)
    assert history.step(2.0).retried == []
    history.ends("worker/0", None, SIGKILL)
    actions = history.step(3.0)
    assert [retry.task.task.name for retry in actions.retried] == ["worker/0"]
    assert started(actions) == ["worker/0", "worker/1"]
