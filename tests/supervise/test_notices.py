"""What people who are not watching are told: histories, without a process."""

from __future__ import annotations

from tenfold.planning.plan import RestartPolicy
from tenfold.supervise.notices import Notice
from tenfold.supervise.state import Hung
from tests.supervise.histories import RETRY, History, task


def told(history: History, at: float) -> list[Notice]:
    return history.step(at).notices


def closed(history: History) -> list[Notice]:
    history.state.observe_closed()
    return history.step().notices


def test_nothing_is_told_while_all_is_well() -> None:
    history = History(task("chief/0"), task("worker/0"))
    assert told(history, 0) == told(history, 1) == []


def test_a_run_that_ended_well_is_told_once_when_it_is_closed() -> None:
    history = History(task("chief/0"))
    history.step(0)
    history.ends("chief/0")
    assert told(history, 1) == []
    assert closed(history) == [Notice("ended", "succeeded: chief finished")]


def test_a_failure_names_the_task_that_failed_first() -> None:
    history = History(task("chief/0"), task("worker/0"))
    history.step(0)
    history.ends("worker/0", 1)
    history.step(100)
    history.ends("chief/0", None, 15)
    history.step(101)
    [notice] = closed(history)
    assert (notice.about, notice.task) == ("failed", "worker/0")
    assert notice.words == "failed: worker/0 exited with code 1"


def test_a_stop_on_request_is_an_end() -> None:
    history = History(task("chief/0"))
    history.step(0)
    history.state.ask_stop("stopped by tenfold down", 1)
    history.step(1)
    history.ends("chief/0", None, 15)
    history.step(2)
    assert closed(history) == [Notice("ended", "stopped: stopped by tenfold down")]


def test_a_supervisor_that_hands_over_tells_nothing() -> None:
    history = History(task("chief/0"))
    history.step(0)
    history.state.observe_terminated(("again", "the job is requeued"), "", 1)
    assert history.state.leaving == "the job is requeued"
    assert closed(history) == []


def test_restarts_of_one_step_are_one_notice() -> None:
    cluster = RestartPolicy("on-failure", limit=2, backoff_s=1.0, scope="cluster")
    history = History(task("chief/0"), *(task(f"worker/{n}", restart=cluster) for n in range(3)))
    history.step(0)
    history.ends("worker/1", None, 9)
    [notice] = told(history, 1)
    assert (notice.about, notice.task) == ("restarted", "worker/1")
    assert set(notice.tasks) == {"chief/0", "worker/0", "worker/1", "worker/2"}
    assert "worker/1 was killed by SIGKILL" in notice.words
    assert told(history, 1.1) == []


def test_two_tasks_that_fail_together_are_told_together() -> None:
    history = History(task("chief/0"), *(task(f"worker/{n}", restart=RETRY) for n in range(2)))
    history.step(0)
    history.ends("worker/0", 1)
    history.ends("worker/1", 1)
    [notice] = told(history, 1)
    assert set(notice.tasks) == {"worker/0", "worker/1"}


def test_a_hang_is_told_and_its_end_is_not() -> None:
    history = History(task("chief/0"))
    history.step(0)
    history.state.observe_hang(Hung("no step for 5 min", "chief/0", "/report"), 1)
    assert told(history, 1) == [
        Notice("hung", "hangs: no step for 5 min", "chief/0", report="/report")
    ]
    history.state.observe_hang(None, 2)
    assert told(history, 2) == []
