"""The failure policy: what a death takes with it, and deaths that only follow from another."""

from __future__ import annotations

import signal

import pytest

from tenfold.cells import Patience
from tenfold.planning.plan import ReadinessCheck, RestartPolicy, Task
from tenfold.supervise.failure import first_failure, together
from tests.supervise.histories import History, signalled, started, task

TERM, KILL = signal.SIGTERM, signal.SIGKILL
CRASH = ((128, 255),)
SETTLE_S = Patience().settle_s
ALL = RestartPolicy("on-failure", limit=1, scope="cluster", codes=CRASH)


def training(**chief: object) -> tuple[Task, ...]:
    """A chief that comes after two parameter servers, a worker, and what stands beside them."""
    return (
        task("fetch", member=False),
        task("chief", after={"fetch": "succeeded", "ps": "ready"}, restart=ALL, **chief),
        task("ps/0", ready=ReadinessCheck("tcp"), service=True, restart=ALL),
        task("ps/1", ready=ReadinessCheck("tcp"), service=True, restart=ALL),
        task("worker/0", restart=RestartPolicy("on-failure")),
        task("tensorboard", service=True, needed=False, member=False),
    )


def in_training() -> History:
    """Such a training, at work."""
    history = History(*training())
    history.step(0.0)
    history.ends("fetch/0")
    for name in ("ps/0", "ps/1"):
        history.state.observe_ready(name, 0.0)
    assert started(history.step(0.0)) == ["chief/0"]
    return history


@pytest.mark.parametrize(
    ("scope", "taken_along"),
    [
        ("task", set()),
        ("job", {"ps/1"}),
        ("cluster", {"chief/0", "ps/1", "worker/0"}),
    ],
)
def test_the_scope_decides_what_restarts_with_a_task(scope: str, taken_along: set[str]) -> None:
    history = in_training()
    culprit = history.state.tasks["ps/0"]
    culprit.task = task("ps/0", restart=RestartPolicy("on-failure", scope=scope))  # type: ignore[arg-type]
    assert {s.task.name for s in together(history.state, culprit)} == taken_along


def test_a_killed_ps_starts_the_training_again_in_its_order() -> None:
    history = in_training()
    history.ends("ps/1", None, KILL)
    actions = history.step(1.0)
    assert [retry.task.task.name for retry in actions.retried] == ["ps/1"]
    assert {name for name, _ in signalled(actions)} == {"chief/0", "ps/0", "worker/0"}
    for name in ("chief/0", "ps/0", "worker/0"):
        history.ends(name, None, TERM)
    again = history.step(3.0)
    assert started(again) == ["ps/0", "ps/1", "worker/0"], "the chief comes after them"
    for name in ("ps/0", "ps/1"):
        history.state.observe_ready(name, 3.5)
    assert started(history.step(3.5)) == ["chief/0"]
    history.step(3.6)
    assert first_failure(history.state.deaths) is None
    assert history.phases()["fetch/0"] == "succeeded", "what prepared the training has done so"
    assert history.phases()["tensorboard/0"] == "running"
    assert history.state.tasks["chief/0"].retried == [], "it was not the chief's fault"


def test_consequences_of_a_death_restart_with_it_and_do_not_fail_the_run() -> None:
    history = in_training()
    history.ends("ps/1", None, KILL)
    history.ends("chief/0", 1)  # an exception: by itself it would not be tried again
    history.step(1.0)
    assert history.state.outcome is None
    assert history.phases()["chief/0"] == "restarting"


def test_a_consequence_that_is_observed_first_waits_for_its_cause() -> None:
    history = in_training()
    history.ends("chief/0", 1)
    history.step(0.5)
    assert history.state.outcome is None
    history.now = 1.0
    history.ends("ps/1", None, KILL)
    history.step(1.0)
    assert history.state.outcome is None
    assert history.phases()["chief/0"] == "restarting"


def test_a_failure_without_a_cause_is_decided_after_a_pause() -> None:
    history = in_training()
    history.now = 1.0
    history.ends("chief/0", 1)
    history.step(1.0 + SETTLE_S - 0.1)
    assert history.state.outcome is None
    history.step(1.0 + SETTLE_S)
    assert history.state.reason == "chief/0 exited with code 1"


def test_nothing_is_waited_for_where_nothing_would_start_it_again() -> None:
    history = History(task("chief"), task("worker/0", restart=RestartPolicy("on-failure")))
    history.step()
    history.ends("chief/0", 1)
    history.step()
    assert history.state.outcome == "failed"


def test_the_culprits_budget_is_the_groups() -> None:
    history = in_training()
    for moment in (1.0, 100.0):
        history.now = moment
        history.ends("ps/1", None, KILL)
        history.step(moment)
        if moment == 1.0:
            for name in ("chief/0", "ps/0", "worker/0"):
                history.ends(name, None, TERM)
            history.step(10.0)
            for name in ("ps/0", "ps/1"):
                history.state.observe_ready(name, 10.0)
            history.step(10.0)
    history.step(100.0 + SETTLE_S)
    assert history.state.reason == "ps/1 was killed by SIGKILL"


def test_succeeded_ranks_restart_with_a_failed_one() -> None:
    history = History(task("w/0", restart=ALL), task("w/1", restart=ALL), success=("w",))
    history.step(0.0)
    history.ends("w/0", 0)
    history.step(0.5)
    history.ends("w/1", None, KILL)
    history.step(1.0)
    assert started(history.step(5.0)) == ["w/0", "w/1"]


def test_a_task_that_cannot_be_killed_is_named_and_no_longer_waited_for() -> None:
    history = History(task("chief"), grace_s=10.0)
    history.step(0.0)
    history.state.ask_stop("down", 0.0)
    history.step(0.0)
    assert signalled(history.step(10.0)) == [("chief/0", KILL)]
    assert history.step(19.9).unkillable == []
    actions = history.step(20.0)
    assert [(one.task.task.name, one.pid) for one in actions.unkillable] == [("chief/0", 1000)]
    assert actions.over
    state = history.state.tasks["chief/0"]
    assert state.phase == "failed"
    assert "could not be killed" in (state.reason or "")
    history.ends("chief/0", None, KILL)  # it ends after all, when nobody asks any more
    assert state.phase == "failed"


def test_restarts_of_a_supervisor_that_died_are_used_up() -> None:
    history = History(task("chief", restart=RestartPolicy("on-failure", limit=2)))
    history.state.tasks["chief/0"].retried = [0.0, 0.0]
    history.step(1.0)
    history.ends("chief/0", 1)
    assert history.step(1.0).retried == []
    assert history.state.outcome == "failed"


def test_no_member_restarts_while_an_old_process_of_another_runs() -> None:
    history = in_training()
    history.ends("chief/0", None, KILL)
    history.step(1.0)
    for name in ("ps/0", "worker/0"):
        history.ends(name, None, TERM)
    assert started(history.step(5.0)) == [], "ps/1 still saves what it holds"
    assert not history.state.tasks["ps/1"].used
    history.ends("ps/1", None, TERM)
    assert started(history.step(6.0)) == ["ps/0", "ps/1", "worker/0"]


def test_a_pending_start_is_killed_by_a_group_restart() -> None:
    history = in_training()
    history.ends("worker/0", None, KILL)
    history.step(0.0)
    history.state.observe_beginning("worker/0")
    history.ends("ps/1", None, KILL)
    history.step(1.5)
    history.state.observe_started("worker/0", 7, 1.6)
    assert ("worker/0", TERM) in signalled(history.step(1.7))


def test_ranks_that_always_die_together_share_one_limit() -> None:
    rule = RestartPolicy("on-failure", limit=3, scope="cluster", codes=CRASH)
    ranks = [task(f"w/{n}", restart=rule) for n in range(4)]
    history = History(*ranks, success=("w",))
    lives, moment = 0, 0.0
    while history.state.outcome is None:
        lives += bool(history.step(moment).start)
        for state in list(history.state.tasks.values()):
            if state.live:
                history.ends(state.task.name, None, signal.SIGSEGV)
        moment += 10.0
    assert lives == 4
    assert history.state.reason == "w/0 was killed by SIGSEGV"


def test_a_training_that_is_done_is_not_started_again() -> None:
    history = in_training()
    history.ends("chief/0", 0)
    history.ends("ps/1", None, KILL)
    history.step(1.0)
    assert history.state.outcome == "succeeded"


def test_servers_that_end_with_the_training_do_not_start_it_again() -> None:
    history = in_training()
    history.ends("ps/1", 0)
    history.step(0.5)
    assert history.phases()["chief/0"] == "running"
    history.ends("chief/0", 0)
    history.step(1.0)
    assert history.state.outcome == "succeeded"


def test_a_refused_restart_is_final() -> None:
    history = in_training()
    history.ends("ps/1", None, KILL)
    history.step(1.0)
    for name in ("chief/0", "ps/0", "worker/0"):
        history.ends(name, None, TERM)
    history.state.observe_refused("ps/0", "no such image", 2.0)
    assert history.step(2.0).retried == []
    history.step(2.0 + SETTLE_S)
    assert history.state.reason == "ps/0 no such image"


def test_the_reason_is_the_first_failure() -> None:
    history = in_training()
    history.state.tasks["ps/0"].retried = [99.0]
    history.now = 100.0
    history.ends("ps/1", None, KILL)
    history.step(100.0)
    history.now = 100.5
    history.ends("chief/0", 1)
    history.step(100.5)
    history.step(100.0 + SETTLE_S)
    first = first_failure(history.state.deaths)
    assert first is not None
    assert first.task == "ps/1"
    assert history.state.reason == "ps/1 was killed by SIGKILL"


def test_a_consequence_uses_up_no_restart_and_is_recovered() -> None:
    history = in_training()
    history.now = 1.0
    history.ends("worker/0", 1)
    history.step(1.0)
    assert history.state.tasks["worker/0"].retried == [1.0]
    history.now = 1.2
    history.ends("ps/1", None, KILL)
    history.step(1.2)
    assert history.state.tasks["worker/0"].retried == []
    assert [death.task for death in history.state.deaths] == ["ps/1"]


def test_a_restart_does_not_wait_for_services_beside_the_training() -> None:
    history = History(
        task("chief", after={"tensorboard": "ready"}, restart=ALL),
        task("ps/0", service=True, restart=ALL),
        task("tensorboard", service=True, needed=False, member=False),
    )
    history.step(0.0)
    history.step(0.0)
    history.ends("tensorboard/0", 1)
    history.ends("ps/0", None, KILL)
    history.step(1.0)
    history.ends("chief/0", None, TERM)
    assert started(history.step(5.0)) == ["chief/0", "ps/0"]
    assert history.state.outcome is None


def test_an_unkillable_task_is_not_restarted() -> None:
    history = History(task("chief"), task("tensorboard", service=True, needed=False), grace_s=1.0)
    history.step(0.0)
    history.state.ask_restart("tensorboard/0")
    history.step(0.0)
    history.step(1.0)
    assert history.step(11.0).unkillable
    assert not history.state.ask_restart("tensorboard/0")
    assert history.step(12.0).start == []


def test_a_task_that_was_to_start_again_is_not_the_first_failure() -> None:
    history = History(task("chief"), task("worker/0", restart=RestartPolicy("always")))
    history.step(0.0)
    history.now = 1.0
    history.ends("worker/0", 3)
    history.step(1.0)
    history.now = 1.5
    history.ends("chief/0", None, KILL)
    history.step(1.5)
    first = first_failure(history.state.deaths)
    assert first is not None
    assert first.task == "chief/0"
    assert history.state.reason == "chief/0 was killed by SIGKILL"
