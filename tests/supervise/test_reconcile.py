"""Histories of whole runs, replayed through the policies."""

from __future__ import annotations

import signal

import pytest

from tenfold.cells import Outcome
from tenfold.planning.plan import ReadinessCheck
from tenfold.supervise.failure import consequences, first_failure
from tenfold.supervise.reconcile import Actions
from tests.supervise.histories import RETRY, History, signalled, started, task

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def test_tasks_start_when_what_they_come_after_is_ready() -> None:
    history = History(task("chief", after={"ps": "ready"}), task("ps", ready=ReadinessCheck("tcp")))
    assert started(history.step()) == ["ps/0"]
    assert started(history.step()) == []
    history.state.observe_ready("ps/0", 1.0)
    assert started(history.step()) == ["chief/0"]
    assert history.step().start == []
    assert history.state.phase == "running"


def test_after_succeeded_waits_for_the_end() -> None:
    history = History(task("chief", after={"fetch": "succeeded"}), task("fetch"))
    assert started(history.step()) == ["fetch/0"]
    assert started(history.step()) == []
    history.ends("fetch/0")
    assert started(history.step()) == ["chief/0"]


def test_after_started_does_not_wait_for_ready() -> None:
    history = History(
        task("chief", after={"ps": "started"}), task("ps", ready=ReadinessCheck("tcp"))
    )
    history.step()
    assert started(history.step()) == ["chief/0"]


def test_services_are_stopped_when_the_chief_succeeds() -> None:
    history = History(task("chief"), task("ps", service=True))
    history.step()
    history.ends("chief/0")
    assert signalled(history.step()) == [("ps/0", TERM)]
    history.ends("ps/0", None, TERM)
    assert history.step().over
    assert history.state.phase == "succeeded"
    assert history.phases() == {"chief/0": "succeeded", "ps/0": "stopped"}
    assert first_failure(history.state.deaths) is None


def test_keep_leaves_the_services_up_until_down() -> None:
    history = History(task("chief"), task("ps", service=True), keep=True)
    history.step()
    history.ends("chief/0")
    assert history.step().signals == []
    assert (history.state.phase, history.state.outcome) == ("running", "succeeded")
    history.state.ask_stop("down", 5.0)
    assert signalled(history.step(5.0)) == [("ps/0", TERM)]
    history.ends("ps/0", 0)
    history.step()
    assert history.state.phase == "succeeded"


def test_service_that_ends_by_itself_has_failed_even_with_code_0() -> None:
    history = History(task("chief"), task("ps", service=True))
    history.step()
    history.ends("ps/0", 0)
    assert signalled(history.step()) == [("chief/0", TERM)]
    assert history.state.outcome == "failed"
    assert history.state.reason == "ps/0 ended"


def test_a_service_that_is_not_needed_does_not_end_the_cluster() -> None:
    history = History(task("chief"), task("tensorboard", service=True, needed=False))
    history.step()
    history.ends("tensorboard/0", 1)
    assert history.step().signals == []
    history.ends("chief/0")
    history.step()
    assert history.step().over
    assert history.state.phase == "succeeded"


def test_a_worker_is_restarted_on_its_address_with_growing_pauses() -> None:
    history = History(task("chief"), task("worker/0", restart=RETRY))
    history.step(0.0)
    history.ends("worker/0", None, KILL)
    assert history.step(0.0).retried
    assert started(history.step(0.9)) == []
    assert started(history.step(1.25)) == ["worker/0"], "a second, and a quarter of it at most"
    assert history.state.tasks["worker/0"].restarts == 1
    history.step(1.25)
    assert first_failure(history.state.deaths) is None, "it is in use again"
    history.ends("worker/0", 1)
    history.step(1.25)
    assert started(history.step(3.2)) == []
    assert started(history.step(3.75)) == ["worker/0"]
    history.step()
    history.ends("worker/0", 1)
    history.step()
    assert history.state.outcome == "failed"
    assert history.state.reason == "worker/0 exited with code 1"


def test_first_failure_and_its_consequences() -> None:
    history = History(task("chief"), task("ps/0"), task("ps/1"), task("worker/0"))
    history.step(0.0)
    history.now = 1.0
    history.ends("ps/1", None, KILL)
    history.now = 1.5
    history.ends("chief/0", 1)
    history.step()
    history.ends("worker/0", None, TERM)
    history.ends("ps/0", None, TERM)
    history.step()
    first = first_failure(history.state.deaths)
    assert first is not None
    assert (first.task, first.time, first.words) == ("ps/1", 1.0, "was killed by SIGKILL")
    assert [death.task for death in consequences(history.state.deaths)] == ["chief/0"]
    assert history.phases()["worker/0"] == "stopped"


def test_services_wait_for_the_others_but_not_for_ever() -> None:
    history = History(task("chief"), task("ps", service=True), grace_s=10.0)
    history.step(0.0)
    history.state.ask_stop("down", 0.0)
    assert signalled(history.step(0.0)) == [("chief/0", TERM)]
    assert signalled(history.step(4.9)) == []
    assert signalled(history.step(5.0)) == [("ps/0", TERM)]
    assert signalled(history.step(10.0)) == [("chief/0", KILL), ("ps/0", KILL)]
    assert signalled(history.step(11.0)) == []


def test_services_end_at_once_when_the_others_have() -> None:
    history = History(task("chief"), task("ps", service=True))
    history.step()
    history.state.ask_stop("down", 0.0)
    history.step()
    history.ends("chief/0", None, TERM)
    assert signalled(history.step(0.1)) == [("ps/0", TERM)]


def test_second_stop_kills_at_once() -> None:
    history = History(task("chief"))
    history.step()
    history.state.ask_stop("Ctrl-C", 0.0)
    history.step()
    history.state.ask_stop("Ctrl-C", 0.5)
    assert signalled(history.step(0.5)) == [("chief/0", KILL)]
    history.ends("chief/0", None, KILL)
    history.step()
    assert history.state.phase == "stopped"


def test_restart_on_request_keeps_the_address_and_does_not_use_up_retries() -> None:
    history = History(task("chief"), task("worker/0", restart=RETRY))
    history.step()
    assert history.state.ask_restart("worker/0")
    assert signalled(history.step()) == [("worker/0", TERM)]
    assert signalled(history.step(9.0)) == []
    assert signalled(history.step(10.0)) == [("worker/0", KILL)], "it did not end in its grace"
    history.ends("worker/0", None, KILL)
    assert started(history.step()) == ["worker/0"]
    state = history.state.tasks["worker/0"]
    assert (state.restarts, state.retried) == (1, [])
    assert first_failure(history.state.deaths) is None


def test_restart_is_refused_once_the_run_is_ending() -> None:
    history = History(task("chief"))
    history.step()
    history.state.ask_stop("down", 0.0)
    assert not history.state.ask_restart("chief/0")


def test_task_that_is_never_ready_is_ended_and_named() -> None:
    history = History(
        task("chief"), task("ps", ready=ReadinessCheck("tcp", timeout_s=5), service=True)
    )
    history.step()
    history.state.observe_waits("ps/0", "nothing listens on 127.0.0.1:7000")
    assert history.step(4.9).unready == []
    actions = history.step(5.0)
    assert [state.task.name for state in actions.unready] == ["ps/0"]
    assert signalled(actions) == [("ps/0", TERM)]
    assert history.step(5.1).unready == []
    history.ends("ps/0", None, TERM)
    history.step()
    words = "ps/0 was not ready after 5 s: nothing listens on 127.0.0.1:7000"
    assert history.state.reason == words


def test_command_that_cannot_start_is_not_tried_again() -> None:
    history = History(task("chief", restart=RETRY))
    history.state.observe_refused("chief/0", "nothing there", 0.0)
    actions = history.step()
    assert actions.retried == []
    assert history.state.reason == "chief/0 nothing there"


@pytest.mark.parametrize(("code", "outcome"), [(0, "succeeded"), (3, "failed")])
def test_exit_code_of_the_decisive_job_decides(code: int, outcome: str) -> None:
    history = History(task("a/0"), task("a/1"), success=("a",))
    history.step()
    history.ends("a/0", 0)
    history.step()
    assert history.state.outcome is None
    history.ends("a/1", code)
    history.step()
    assert history.state.outcome == outcome


def test_waiting_tasks_of_a_run_that_ends_are_stopped_not_failed() -> None:
    history = History(task("chief"), task("late", after={"chief": "succeeded"}, needed=True))
    history.step()
    history.ends("chief/0", 1)
    assert history.step().over
    assert history.phases() == {"chief/0": "failed", "late/0": "stopped"}


def test_a_task_that_refuses_its_input_is_not_started_again() -> None:
    history = History(task("chief", restart=RETRY))
    history.step()
    history.ends("chief/0", 2)
    assert history.step().retried == []
    assert history.state.outcome == "failed"


def test_waiting_for_what_has_ended_badly_is_a_failure() -> None:
    fetch = task("fetch", needed=False)
    history = History(task("chief", after={"fetch": "succeeded"}), fetch)
    history.step()
    history.ends("fetch/0", 1)
    history.step()
    assert history.state.reason == "fetch/0 failed, but chief/0 waits until it is succeeded"


def test_restart_on_request_ends_a_pause_and_needs_a_started_task() -> None:
    late = task("late", after={"chief": "succeeded"})
    history = History(task("chief"), task("worker", restart=RETRY), late)
    history.step(0.0)
    history.ends("worker/0", 1)
    history.step(0.0)
    assert history.state.ask_restart("worker/0")
    assert started(history.step(0.0)) == ["worker/0"]
    assert not history.state.ask_restart("late/0")
    assert not history.state.ask_restart("nobody/7")


def test_a_lost_cell_fails_the_run_and_blames_no_task() -> None:
    history = History(task("chief"))
    history.step()
    history.state.observe_cell_lost("the launch server was killed by SIGKILL", 1.0)
    assert history.step(1.0).over
    assert history.state.phase == "failed"
    assert history.state.reason == "the launch server was killed by SIGKILL"
    assert first_failure(history.state.deaths) is None
    assert history.phases() == {"chief/0": "stopped"}


def test_a_ready_task_is_not_ended_when_its_readiness_timeout_passes() -> None:
    history = History(task("chief", ready=ReadinessCheck("tcp", timeout_s=5)))
    history.step(0.0)
    history.state.observe_ready("chief/0", 4.9)
    assert history.step(6.0).unready == []
    history.state.ask_restart("chief/0")
    history.step(6.0)
    history.ends("chief/0", None, TERM)
    assert started(history.step(7.0)) == ["chief/0"]
    assert history.step(11.9).unready == []
    assert history.step(12.0).unready, "each life has the whole time"


def test_a_service_that_is_not_ready_when_the_run_stops_has_not_failed() -> None:
    ready = ReadinessCheck("tcp", timeout_s=5)
    history = History(task("chief"), task("ps", ready=ready, service=True), grace_s=20.0)
    history.step(0.0)
    history.state.ask_stop("down", 1.0)
    assert signalled(history.step(1.0)) == [("chief/0", TERM)]
    assert history.step(6.0).unready == []
    history.ends("chief/0", None, TERM)
    assert signalled(history.step(7.0)) == [("ps/0", TERM)]
    history.ends("ps/0", None, TERM)
    assert history.step(7.0).over
    assert history.phases() == {"chief/0": "stopped", "ps/0": "stopped"}


def test_nothing_starts_while_the_cell_opens() -> None:
    history = History(task("chief"))
    history.state.observe_opening()
    assert history.step(0.0) == Actions()
    history.state.observe_open()
    assert started(history.step(1.0)) == ["chief/0"]


def test_a_run_that_is_stopped_while_its_cell_opens_has_ended() -> None:
    history = History(task("chief"))
    history.state.observe_opening()
    history.state.ask_stop("Ctrl-C", 0.0)
    assert history.step(0.0).over
    assert (history.state.phase, history.phases()) == ("stopped", {"chief/0": "stopped"})


def test_starts_that_are_under_way_are_called_off_when_the_run_stops() -> None:
    history = History(task("chief"), task("worker", after={"chief": "ready"}))
    history.state.observe_beginning("chief/0")
    assert history.step(0.0).start == []
    history.state.ask_stop("down", 0.0)
    assert [state.task.name for state in history.step(0.0).call_off] == ["chief/0"]


def test_a_supervisor_that_breaks_fails_the_run_whatever_was_known_of_it() -> None:
    history = History(task("chief"), task("worker"), keep=True)
    history.step(0.0)
    history.ends("chief/0")
    history.step(1.0)
    assert history.state.outcome == "succeeded"
    history.state.observe_broken("the disk is gone")
    history.state.observe_closed()
    assert history.step(2.0).over
    assert (history.state.phase, history.state.reason) == ("failed", "the disk is gone")
    assert history.phases() == {"chief/0": "succeeded", "worker/0": "stopped"}
    worker = history.state.tasks["worker/0"]
    assert (worker.pid, worker.ended) == (None, 2.0)
    assert history.state.deaths == []


def test_a_run_that_its_cell_restarts_is_left_in_the_starting_state() -> None:
    history = History(task("chief"), task("worker"), success=("chief",))
    history.step(0.0)
    history.ends("worker/0")
    history.state.observe_cell_ending("again", "a node went down", 1.0)
    actions = history.step(1.0)
    assert (actions.over, actions.signals) == (True, [])
    history.state.observe_closed()
    assert history.step(2.0).notes == [("a node went down", None)]
    assert history.phases() == {"chief/0": "waiting", "worker/0": "succeeded"}
    state = history.state
    assert (state.phase, state.outcome, state.reason) == ("starting", None, "a node went down")


@pytest.mark.parametrize(
    ("why", "outcome", "reason"),
    [
        (None, "stopped", "stopped by SIGTERM"),
        (("stopped", "Slurm job 7 was cancelled"), "stopped", "Slurm job 7 was cancelled"),
        (("failed", "it reached its time limit"), "failed", "it reached its time limit"),
    ],
)
def test_a_terminated_supervisor_stops_the_run_and_reports_what_the_cell_knows(
    why: tuple[Outcome, str] | None, outcome: str, reason: str
) -> None:
    history = History(task("chief"))
    history.step(0.0)
    history.state.observe_terminated(why, "stopped by SIGTERM", 1.0)
    assert signalled(history.step(1.0)) == [("chief/0", TERM)]
    assert (history.state.outcome, history.state.reason) == (outcome, reason)
    history.state.observe_terminated(why, "stopped by SIGTERM", 2.0)
    assert signalled(history.step(2.0)) == [("chief/0", KILL)], "told again, it ends at once"
    assert history.state.reason == reason
